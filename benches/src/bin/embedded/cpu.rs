//! CPU time of a process.

use std::io;

/// What all threads of a process have used so far, in nanoseconds. Those that have ended are not counted.
pub(crate) fn nanoseconds(process: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let schedule = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let used = schedule.split_whitespace().next().and_then(|used| used.parse::<u64>().ok());
        sum += used.ok_or_else(|| io::Error::other("the kernel keeps no schedstat"))?;
    }
    Ok(sum)
}
