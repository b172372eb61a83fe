//! Windows (RFC 9113, section 5.2): how much may be sent, and how much may come.

/// No window may grow beyond this (section 6.9.1).
pub(super) const MAX_WINDOW: u32 = (1 << 31) - 1;
/// Every window's size before SETTINGS and WINDOW_UPDATE (section 6.9.2).
pub(super) const DEFAULT_WINDOW: u32 = (1 << 16) - 1;

/// How much may be sent. Negative after the peer made it smaller.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendWindow(i32);

impl SendWindow {
    pub(super) fn new(size: u32) -> Self {
        Self(i32::try_from(size).unwrap_or(i32::MAX))
    }

    pub(super) fn available(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// So much was sent, of what was [`available`](Self::available).
    pub(super) fn consume(&mut self, length: usize) {
        self.0 = self.0.saturating_sub(i32::try_from(length).unwrap_or(i32::MAX));
    }

    /// The peer gives more, or takes some away. False where that is beyond what a window can be.
    #[must_use]
    pub(super) fn shift(&mut self, by: i64) -> bool {
        let shifted = i32::try_from(i64::from(self.0) + by);
        self.0 = shifted.unwrap_or(self.0);
        shifted.is_ok()
    }
}

/// How much may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecvWindow {
    size: u32,
    /// What the peer may still send.
    left: u32,
    /// Read, and not given back yet.
    read: u32,
}

impl RecvWindow {
    pub(super) fn new(size: u32) -> Self {
        Self { size, left: size, read: 0 }
    }

    /// A window that the peer takes for larger, until it has read our SETTINGS.
    pub(super) fn at_least(size: u32, left: u32) -> Self {
        Self { size, left: size.max(left), read: 0 }
    }

    /// So much has come. False where that is more than may.
    #[must_use]
    pub(super) fn charge(&mut self, length: u32) -> bool {
        let left = self.left.checked_sub(length);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// So much was read: how much to give back now. That waits until half of the window was read, so that a WINDOW_UPDATE
    /// is worth its frame.
    pub(super) fn release(&mut self, length: u32) -> Option<u32> {
        self.read = self.read.saturating_add(length);
        if self.read < (self.size / 2).max(1) {
            return None;
        }
        let increment = std::mem::take(&mut self.read);
        self.left = self.left.saturating_add(increment);
        Some(increment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_and_what_settings_take_away() {
        let mut window = SendWindow::new(100);
        window.consume(60);
        assert_eq!(window.available(), 40);
        assert!(window.shift(-100));
        assert_eq!(window.available(), 0);
        assert!(window.shift(61));
        assert_eq!(window.available(), 1);
        assert!(!window.shift(i64::from(MAX_WINDOW)));
        assert!(window.shift(i64::from(MAX_WINDOW) - 1));
    }

    #[test]
    fn half_a_window_is_given_back_at_once() {
        let mut window = RecvWindow::new(100);
        assert!(window.charge(100));
        assert!(!window.charge(1));
        assert_eq!(window.release(49), None);
        assert_eq!(window.release(1), Some(50));
        assert!(window.charge(50));
        assert_eq!(RecvWindow::new(1).release(1), Some(1));
        assert!(RecvWindow::at_least(10, 20).charge(20));
    }
}
