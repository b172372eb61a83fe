//! Waiting until a point in time, to some microseconds: tokio's timers count whole milliseconds.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::{io::unix::AsyncFd, time::Instant};

/// How many calls that are late may begin before the connections have their turn.
const LATE: u32 = 16;

/// A timer of the kernel.
pub(crate) struct Ticker {
    timer: AsyncFd<OwnedFd>,
    late: u32,
}

impl Ticker {
    #[expect(
        deprecated,
        reason = "what replaces `new` is unsafe, for descriptors that change; this one stays what it is"
    )]
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { timer: AsyncFd::new(timer)?, late: 0 })
    }

    /// Waits until `deadline`.
    pub(crate) async fn until(&mut self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            self.late = 0;
            return self.wait(left).await;
        }
        self.late += 1;
        if self.late >= LATE {
            self.late = 0;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn wait(&self, left: Duration) -> io::Result<()> {
        let it_value = Timespec::try_from(left).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.timer.readable().await?;
            match ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0_u8; 8])?)) {
                Ok(read) => return read.map(drop),
                Err(_not_yet) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_never_early() {
        let mut ticker = Ticker::new().unwrap();
        let start = Instant::now();
        for micros in [300, 600, 600, 100, 2_500] {
            let deadline = start + Duration::from_micros(micros);
            ticker.until(deadline).await.unwrap();
            assert!(Instant::now() >= deadline);
        }
    }
}
