//! SETTINGS (RFC 9113, section 6.5): ours, and the peer's.

use super::{
    error::Violation,
    flow::{DEFAULT_WINDOW, MAX_WINDOW},
    frame::MAX_PAYLOAD,
    reason::Reason,
    role::Role,
};

const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// Our settings as a payload.
pub(super) fn ours(role: Role, initial_window: u32, max_streams: u32, max_header_list: u32) -> Vec<u8> {
    let about_streams = match role {
        Role::Server => (MAX_CONCURRENT_STREAMS, max_streams),
        Role::Client => (ENABLE_PUSH, 0),
    };
    let all = [about_streams, (INITIAL_WINDOW_SIZE, initial_window), (MAX_HEADER_LIST_SIZE, max_header_list)];
    all.into_iter()
        .flat_map(|(key, value)| {
            let ([a, b], [c, d, e, f]) = (key.to_be_bytes(), value.to_be_bytes());
            [a, b, c, d, e, f]
        })
        .collect()
}

/// What the peer has said, or what holds before it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerSettings {
    pub(super) initial_window: u32,
    pub(super) max_payload: usize,
    pub(super) max_streams: u32,
    pub(super) table_size: u32,
}

/// Streams opened before the host's SETTINGS have said how many it takes (section 6.5.2 recommends 100).
const INITIAL_STREAMS: u32 = 100;
/// The dynamic table's size before SETTINGS (section 6.5.2).
const DEFAULT_TABLE: u32 = 4096;

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            initial_window: DEFAULT_WINDOW,
            max_payload: MAX_PAYLOAD,
            max_streams: INITIAL_STREAMS,
            table_size: DEFAULT_TABLE,
        }
    }
}

impl PeerSettings {
    /// What holds once the first SETTINGS have come: a limit that they do not name is none.
    pub(super) fn unlimited(self) -> Self {
        Self { max_streams: u32::MAX, ..self }
    }

    /// With what a payload says. `role` is ours.
    pub(super) fn updated(mut self, role: Role, payload: &[u8]) -> Result<Self, Violation> {
        let (settings, []) = payload.as_chunks() else {
            return Err(Violation(Reason::FRAME_SIZE_ERROR, "SETTINGS of a length that they cannot have"));
        };
        for [a, b, c, d, e, f] in settings {
            self.set(role, u16::from_be_bytes([*a, *b]), u32::from_be_bytes([*c, *d, *e, *f]))?;
        }
        Ok(self)
    }

    fn set(&mut self, role: Role, key: u16, value: u32) -> Result<(), Violation> {
        match key {
            HEADER_TABLE_SIZE => self.table_size = value,
            // A server has nothing to say about it but that it will not (section 6.5.2).
            ENABLE_PUSH if value > 1 || (role == Role::Client && value > 0) => {
                return Err(Violation(Reason::PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH is out of range"));
            }
            MAX_CONCURRENT_STREAMS => self.max_streams = value,
            INITIAL_WINDOW_SIZE if value > MAX_WINDOW => {
                return Err(Violation(Reason::FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is out of range"));
            }
            INITIAL_WINDOW_SIZE => self.initial_window = value,
            MAX_FRAME_SIZE => match usize::try_from(value) {
                // Larger frames are allowed, not better: others wait behind them.
                Ok(size @ MAX_PAYLOAD..=0xff_ffff) => self.max_payload = size.min(MAX_PAYLOAD),
                _ => return Err(Violation(Reason::PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE is out of range")),
            },
            // MAX_HEADER_LIST_SIZE is advice; unknown ones are to be ignored.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(role: Role, key: u16, value: u32) -> Result<PeerSettings, Violation> {
        let payload = [&key.to_be_bytes()[..], &value.to_be_bytes()].concat();
        PeerSettings::default().updated(role, &payload)
    }

    #[test]
    fn what_is_set_holds_and_what_is_unknown_is_ignored() {
        let role = Role::Client;
        assert_eq!(set(role, MAX_CONCURRENT_STREAMS, 7).unwrap().max_streams, 7);
        assert_eq!(set(role, INITIAL_WINDOW_SIZE, MAX_WINDOW).unwrap().initial_window, MAX_WINDOW);
        assert_eq!(set(role, HEADER_TABLE_SIZE, 0).unwrap().table_size, 0);
        assert_eq!(set(role, MAX_FRAME_SIZE, 1 << 20).unwrap().max_payload, MAX_PAYLOAD);
        assert!(set(role, 0x99, 1).is_ok());
        let ours = ours(Role::Server, 5, 6, 7);
        let read = PeerSettings::default().updated(Role::Client, &ours).unwrap();
        assert_eq!((read.initial_window, read.max_streams), (5, 6));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_own_reason() {
        let reason = |role, key, value| set(role, key, value).unwrap_err().0;
        assert_eq!(reason(Role::Server, ENABLE_PUSH, 2), Reason::PROTOCOL_ERROR);
        assert_eq!(reason(Role::Client, ENABLE_PUSH, 1), Reason::PROTOCOL_ERROR);
        assert_eq!(reason(Role::Server, INITIAL_WINDOW_SIZE, 1 << 31), Reason::FLOW_CONTROL_ERROR);
        assert_eq!(reason(Role::Server, MAX_FRAME_SIZE, 16383), Reason::PROTOCOL_ERROR);
        assert_eq!(reason(Role::Server, MAX_FRAME_SIZE, 1 << 24), Reason::PROTOCOL_ERROR);
        let cut = PeerSettings::default().updated(Role::Server, &[0; 5]).unwrap_err();
        assert_eq!(cut.0, Reason::FRAME_SIZE_ERROR);
    }
}
