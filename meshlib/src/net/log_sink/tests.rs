use std::{
    io::{BufRead, BufReader, PipeReader, Read, pipe},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
};

use super::{queue::MAX_BATCHES, *};

const LONG: Duration = Duration::from_secs(30);

fn lost(stats: &Stats) -> u64 {
    stats.counter_value("filesystem.lines_lost").unwrap()
}

/// A sink into a pipe, as if it were a file of this name.
fn into_pipe(sinks: &SystemLogSinks, name: &str) -> (PipeReader, Arc<dyn LogSink>) {
    let (reader, writer) = pipe().unwrap();
    let sink = sinks.sink(Target::File(name.into()), File::from(OwnedFd::from(writer))).unwrap();
    (reader, sink)
}

#[test]
fn a_path_opened_twice_is_one_sink_and_order_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::fs::write(&path, "before\n").unwrap();
    let link = folder.path().join("link.log");
    std::os::unix::fs::symlink(&path, &link).unwrap();

    let sinks = SystemLogSinks::default();
    let (one, other) = (sinks.open(&path).unwrap(), sinks.clone().open(&link).unwrap());
    assert_eq!(sinks.0.lock().len(), 1);
    let mut expected = "before\n".to_owned();
    for number in 0..500 {
        let line = format!("line {number}\n");
        let sink = if number % 2 == 0 { &one } else { &other };
        assert!(sink.write(Bytes::from(line.clone())));
        expected += &line;
    }
    drop(one);
    assert!(sinks.flush(LONG));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    assert!(other.write(Bytes::from("the other handle still writes\n")));
    assert!(sinks.flush(LONG));
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("still writes\n"));
}

#[test]
fn the_last_handle_writes_what_is_left_and_the_path_can_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    for round in 1..=20 {
        let sinks = SystemLogSinks::default();
        for _ in 0..2 {
            let sink = sinks.open(&path).unwrap();
            assert!(sink.write(Bytes::from("a line\n")));
        }
        drop(sinks);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a line\n".repeat(2 * round));
    }
}

#[test]
fn a_full_queue_says_so_at_once_and_loses_nothing_it_took() {
    let sinks = SystemLogSinks::default();
    let (mut reader, sink) = into_pipe(&sinks, "stuck");
    // Nobody reads: the pipe fills, then the queue.
    let batch = Bytes::from([&[b'x'; 9999][..], b"\n"].concat());
    let taken = (0..2000).take_while(|_| sink.write(batch.clone())).count();
    assert!((100..200).contains(&taken), "a mebibyte and what the pipe holds: {taken}");
    assert!(!sinks.flush(Duration::from_millis(20)), "they are not written");
    drop(sink);

    let read = thread::spawn(move || {
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        read.len()
    });
    assert!(sinks.flush(LONG));
    assert_eq!(read.join().unwrap(), taken * batch.len(), "and the pipe was closed by the thread's end");
}

#[test]
fn many_small_batches_are_bounded_too_and_a_huge_one_passes_alone() {
    let queue = Queue::new();
    let taken = (0..5000).take_while(|_| queue.push(Bytes::from_static(b"\n"))).count();
    assert_eq!(taken, MAX_BATCHES);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let sinks = SystemLogSinks::default();
    assert!(sinks.open(&path).unwrap().write(Bytes::from(vec![b'\n'; 5 << 20])));
    assert!(sinks.flush(LONG));
    assert_eq!(path.metadata().unwrap().len(), 5 << 20);
}

#[test]
fn a_closed_pipe_costs_lines_and_nothing_else() {
    let stats = Stats::new();
    let sinks = SystemLogSinks::new(&stats);
    let (mut reader, sink) = into_pipe(&sinks, "closed");
    assert!(sink.write(Bytes::from("seen\n")));
    let mut seen = [0; 5];
    reader.read_exact(&mut seen).unwrap();
    drop(reader);
    for _ in 0..10 {
        assert!(sink.write(Bytes::from("one\ntwo\n")));
        assert!(sinks.flush(LONG));
    }
    assert_eq!(lost(&stats), 20);
    assert_eq!(stats.counter_value("filesystem.write_failed"), Some(10), "one try for each batch");
    assert_eq!(stats.counter_value("filesystem.write_completed"), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_lines() {
    let stats = Stats::new();
    let sinks = SystemLogSinks::new(&stats);
    let sink = sinks.open(Path::new("/dev/full")).unwrap();
    assert!(sink.write(Bytes::from("one\ntwo\n")));
    assert!(sinks.flush(LONG));
    assert_eq!(lost(&stats), 2);
}

#[test]
fn a_line_that_was_cut_is_ended_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let stats = OutputStats::new(&Stats::new());
    let mut output = Output::new(output::append(&path).unwrap(), "test".to_owned(), stats);
    output.tear();
    output.write(b"whole\n");
    output.write(b"whole\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "\nwhole\nwhole\n");
}

#[test]
fn a_non_blocking_output_is_waited_for() {
    let sinks = SystemLogSinks::default();
    let (mut reader, writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    let sink = sinks.sink(Target::File("socket".into()), File::from(OwnedFd::from(writer))).unwrap();
    let batch = Bytes::from(vec![b'\n'; 1 << 20]);
    assert!(sink.write(batch.clone()));
    assert!(!sinks.flush(Duration::from_millis(20)), "more than a socket holds");
    drop(sink);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert_eq!(read.len(), batch.len());
}

#[test]
fn errors_name_the_path() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing").join("access.log")] {
        let error = SystemLogSinks::default().open(&path).err().unwrap();
        assert!(error.to_string().starts_with(&*path.to_string_lossy()), "{error}");
    }
}

#[test]
fn a_named_pipe_without_reader_does_not_hold_up_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let sinks = SystemLogSinks::default();
    let sink = sinks.open(&path).unwrap();
    assert!(sink.write(Bytes::from("a line\n")));
    let mut line = [0; 7];
    File::open(&path).unwrap().read_exact(&mut line).unwrap();
    assert_eq!(&line, b"a line\n");
}

/// Set in a process that was started only to log.
const LOGS_ONLY: &str = "MESHLIB_TEST_LOGS_ONLY";

/// What such a process does.
fn log() {
    let stats = Stats::new();
    let sinks = SystemLogSinks::new(&stats);
    let (out, err) = (sinks.open(Path::new("/dev/stdout")).unwrap(), sinks.open(Path::new("/dev/stderr")).unwrap());
    assert!(err.write(Bytes::from("<ready>\n")));
    // It goes on once the other side closes this pipe.
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    for number in 0..100 {
        assert!(out.write(Bytes::from(format!("<out {number}>\n"))));
        assert!(err.write(Bytes::from(format!("<err {number}>\n"))));
    }
    assert!(sinks.flush(LONG));
    assert!(err.write(Bytes::from(format!("<lost {}>\n", lost(&stats)))));
    assert!(sinks.flush(LONG));
}

/// Starts this very program, to run one test in it, which only logs there.
fn logging_process(stdout: impl Into<Stdio>) -> std::process::Child {
    let name = concat!(module_path!(), "::standard_output_may_be_a_pipe");
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--test-threads=1", name.split_once("::").unwrap().1])
        .env(LOGS_ONLY, "")
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn expected(stream: &str) -> Vec<String> {
    (0..100).map(|number| format!("<{stream} {number}>")).collect()
}

/// The lines of one stream, among what the test harness of the process writes.
fn logged(output: &[u8], stream: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let mark = format!("<{stream} ");
    text.lines().filter_map(|line| Some(line[line.find(&mark)?..].to_owned())).collect()
}

#[test]
fn standard_output_may_be_a_pipe() {
    if std::env::var_os(LOGS_ONLY).is_some() {
        return log();
    }
    let ended = logging_process(Stdio::piped()).wait_with_output().unwrap();
    assert!(ended.status.success());
    assert_eq!(logged(&ended.stdout, "out"), expected("out"));
    assert_eq!(logged(&ended.stderr, "err"), expected("err"));
    assert_eq!(logged(&ended.stderr, "lost"), ["<lost 0>"]);
}

#[test]
fn standard_output_may_be_a_socket() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let ended = logging_process(OwnedFd::from(theirs)).wait_with_output().unwrap();
    assert!(ended.status.success());
    let mut read = Vec::new();
    ours.read_to_end(&mut read).unwrap();
    assert_eq!(logged(&read, "out"), expected("out"));
}

#[test]
fn standard_output_may_go_away() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut process = logging_process(OwnedFd::from(theirs));
    let mut stderr = BufReader::new(process.stderr.take().unwrap());
    // By then the test harness of the process has written what it writes before a test.
    stderr.by_ref().lines().map(Result::unwrap).find(|line| line == "<ready>").unwrap();
    drop(ours);
    drop(process.stdin.take());
    let mut rest = Vec::new();
    stderr.read_to_end(&mut rest).unwrap();
    process.wait().unwrap();
    assert_eq!(logged(&rest, "err"), expected("err"));
    assert_eq!(logged(&rest, "lost"), ["<lost 100>"], "and the process went on");
}
