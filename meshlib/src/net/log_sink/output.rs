//! What the writer thread writes to, and what it does when that breaks.

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::AsFd, unix::fs::FileTypeExt},
    path::Path,
    thread,
    time::Duration,
};

use super::Target;
use crate::base::{Counter, Stats};

/// How long to wait before a descriptor that somebody set to non-blocking is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// Another descriptor for descriptor 1 or 2, whatever it is.
pub(super) fn standard(target: &Target) -> io::Result<File> {
    let descriptor = match target {
        Target::Stderr => io::stderr().as_fd().try_clone_to_owned(),
        _ => io::stdout().as_fd().try_clone_to_owned(),
    };
    descriptor.map(File::from)
}

/// A file to append to.
pub(super) fn append(path: &Path) -> io::Result<File> {
    // A named pipe that is opened for writing only makes the opener wait for its reader.
    let is_pipe = path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
    if is_pipe {
        return File::options().read(true).write(true).open(path);
    }
    File::options().append(true).create(true).open(path)
}

/// The counters of all outputs.
#[derive(Clone, Debug)]
pub(super) struct OutputStats {
    completed: Counter,
    failed: Counter,
    lines_lost: Counter,
}

impl OutputStats {
    pub(super) fn new(stats: &Stats) -> Self {
        Self {
            completed: stats.counter("filesystem.write_completed"),
            failed: stats.counter("filesystem.write_failed"),
            lines_lost: stats.counter("filesystem.lines_lost"),
        }
    }
}

/// An open file, as the writer thread sees it.
pub(super) struct Output {
    file: File,
    name: String,
    stats: OutputStats,
    broken: bool,
    /// The last line written is not whole.
    torn: bool,
}

impl Output {
    pub(super) fn new(file: File, name: String, stats: OutputStats) -> Self {
        Self { file, name, stats, broken: false, torn: false }
    }

    /// Writes whole lines. What cannot be written is lost and counted; the next batch is tried all the same, which
    /// costs a broken output one system call a batch.
    pub(super) fn write(&mut self, lines: &[u8]) {
        let mut rest = lines;
        let result = self.mend().and_then(|()| write_all(&mut self.file, &mut rest));
        match result {
            Ok(()) => {
                self.stats.completed.increment();
                if std::mem::take(&mut self.broken) {
                    tracing::info!(output = %self.name, "log lines are written again");
                }
            }
            Err(error) => {
                self.torn |= rest.len() < lines.len();
                self.stats.failed.increment();
                self.stats.lines_lost.add(rest.iter().filter(|byte| **byte == b'\n').count() as u64);
                if !std::mem::replace(&mut self.broken, true) {
                    tracing::warn!(output = %self.name, %error, "log lines are lost until the output works again");
                }
            }
        }
    }

    /// As after a failure in the middle of a line.
    #[cfg(test)]
    pub(super) fn tear(&mut self) {
        self.torn = true;
    }

    /// Ends a line that a failure cut, so that the next one stands alone.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            write_all(&mut self.file, &mut &b"\n"[..])?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Writes `rest`, which keeps what is not written yet.
fn write_all(file: &mut File, rest: &mut &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => *rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Whoever shares the descriptor may have set it so; there is no waiting for it without unsafe code.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(RETRY_AFTER),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
