//! What a peer may do without it being a request, and how often.
//!
//! What is limited is what no honest peer needs. Work pays for itself: a client may send a PING for every DATA frame
//! it gets, as those that measure the bandwidth do, and reset as many streams as it lets us answer.

use super::{
    bucket::TokenBucket,
    frame::{CONTINUATION, DATA, END_STREAM, HEADERS, Head, PADDED, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE},
    role::Role,
};

/// The limits of one connection.
#[derive(Debug)]
pub(super) struct Floods {
    role: Role,
    /// Streams that the client gives up: a burst and a rate as nghttp2 has them, and one for each answer.
    resets: TokenBucket,
    /// Streams that we reset because the peer broke the protocol on them.
    faults: TokenBucket,
    /// SETTINGS: each costs a walk over all streams.
    settings: TokenBucket,
    /// PING, PRIORITY, unknown and empty frames: one for each DATA or HEADERS frame in either direction.
    control: TokenBucket,
    /// What costs next to nothing: WINDOW_UPDATE, DATA for a stream that we have reset. Ten for each DATA frame sent.
    cheap: TokenBucket,
}

impl Floods {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            resets: TokenBucket::new(1000, 33),
            faults: TokenBucket::new(250, 33),
            settings: TokenBucket::new(200, 10),
            control: TokenBucket::new(1000, 33),
            cheap: TokenBucket::new(100_000, 10_000),
        }
    }

    /// A frame begins: whether it may.
    pub(super) fn received(&mut self, head: Head) -> bool {
        match head.kind {
            // What it says shows when it is whole.
            DATA if head.has(PADDED) => true,
            // Empty, and not an end: it says nothing.
            DATA if head.length == 0 && !head.has(END_STREAM) => self.control.take(),
            DATA | HEADERS => {
                self.control.earn(1);
                true
            }
            CONTINUATION | PUSH_PROMISE => true,
            RST_STREAM if self.role == Role::Server => self.resets.take(),
            SETTINGS => self.settings.take(),
            RST_STREAM | WINDOW_UPDATE => self.cheap.take(),
            _ => self.control.take(),
        }
    }

    /// A response's head that is not the final one has come: whether it may.
    pub(super) fn informational(&mut self) -> bool {
        self.control.take()
    }

    /// A frame of DATA goes out.
    pub(super) fn sent_data(&mut self) {
        self.control.earn(1);
        self.cheap.earn(10);
    }

    /// A message's head goes out.
    pub(super) fn sent_head(&mut self) {
        self.control.earn(1);
        self.resets.earn(1);
    }

    /// The peer broke the rules on a stream, which is reset: whether it may do so once more. A client has begun work that
    /// is now thrown away.
    pub(super) fn fault(&mut self) -> bool {
        self.role == Role::Client || self.faults.take()
    }

    /// The peer could not know better: more streams than we take, DATA that was under way.
    pub(super) fn refused(&mut self) -> bool {
        self.role == Role::Client || self.cheap.take()
    }

    /// Padding and nothing else.
    pub(super) fn padding(&mut self) -> bool {
        self.control.take()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::frame::PING, *};

    fn head(kind: u8, length: usize) -> Head {
        Head { length, kind, flags: 0, stream: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn floods_are_seen_and_a_slow_trickle_is_not() {
        for (kind, length, burst) in
            [(PING, 8, 1000), (RST_STREAM, 4, 1000), (SETTINGS, 0, 200), (0x2a, 0, 1000), (DATA, 0, 1000)]
        {
            let mut floods = Floods::new(Role::Server);
            let mut allowed = |times| (0..times).all(|_| floods.received(head(kind, length)));
            assert!(allowed(burst), "{kind}: a burst");
            for _ in 0..300 {
                tokio::time::advance(Duration::from_millis(100)).await;
                assert!(allowed(1), "{kind}: a trickle");
            }
            assert!(!allowed(2 * burst), "{kind}: a flood");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_measures_the_bandwidth_may_ping_for_each_frame_it_gets() {
        let mut floods = Floods::new(Role::Server);
        for _ in 0..100_000 {
            floods.sent_data();
            assert!(floods.received(head(PING, 8)) && floods.received(head(WINDOW_UPDATE, 4)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_give_up_the_streams_that_were_answered_and_a_host_what_we_sent() {
        let (mut server, mut client) = (Floods::new(Role::Server), Floods::new(Role::Client));
        for _ in 0..100_000 {
            server.sent_head();
            assert!(server.received(head(RST_STREAM, 4)));
        }
        assert!((0..10_000).all(|_| client.received(head(RST_STREAM, 4))));
    }

    #[tokio::test(start_paused = true)]
    async fn streams_that_break_the_protocol_end_the_connection_and_refused_ones_do_not() {
        let (mut server, mut client) = (Floods::new(Role::Server), Floods::new(Role::Client));
        assert!((0..2000).all(|_| server.refused() && client.refused() && client.fault()));
        assert!((0..250).all(|_| server.fault()));
        assert!(!server.fault());
    }
}
