//! What a connection and its streams share, behind one lock.
//!
//! Streams encode what they send themselves, into one buffer: their order there is the order on the wire, which is what
//! HPACK demands. The connection's task reads, and writes what was collected.

mod receive;
mod send;
mod streams;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    task::Waker,
};

use bytes::BytesMut;
use http::request;

pub(super) use self::receive::Oversize;
use self::streams::{Stream, Streams, Trailers, Turn};
use super::{
    error::Failure,
    floods::Floods,
    flow::{DEFAULT_WINDOW, RecvWindow, SendWindow},
    frame::{PREFACE, put_goaway, put_ping, put_reset, put_settings, put_window_update},
    head::Head,
    hpack::Encoder,
    limits::HeadLimits,
    reason::Reason,
    role::Role,
    settings::{self, PeerSettings},
};
use crate::http::{options::Http2Options, out::Out};

/// The most that streams may collect before some of it was written: as much as is read at once.
const COLLECT: usize = 256 << 10;
/// With so much to write a server reads nothing more.
const BACKLOG: usize = 2 * COLLECT;

/// A connection as its streams, its task and its handles see it.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) status: Status,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Not contended where a connection and its streams are on one worker.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked for each request, without the lock.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// No new streams: the connection is over, or the peer said GOAWAY.
    pub(super) is_closed: AtomicBool,
    /// The peer's SETTINGS have come.
    pub(super) is_settled: AtomicBool,
    /// How many streams the peer takes.
    pub(super) max_streams: AtomicUsize,
    /// Streams of ours that somebody holds.
    pub(super) exchanges: AtomicUsize,
    /// The newest stream that we opened and that may have left this process.
    pub(super) left: AtomicU32,
}

impl Status {
    /// Whether the peer may have seen a stream that we opened. If not, nobody has processed it.
    pub(super) fn has_left(&self, id: u32) -> bool {
        id <= self.left.load(Ordering::Relaxed)
    }
}

/// Of what may come, and of what may be sent.
#[derive(Debug)]
pub(super) struct State {
    pub(super) role: Role,
    pub(super) limits: HeadLimits,
    streams: Streams,
    /// Frames that nobody has written yet.
    pub(super) out: Out,
    /// How much of what was collected before is still being written.
    unwritten: usize,
    /// How much of all that is answers to what the peer sends: since the last time, and before.
    answers: usize,
    unwritten_answers: usize,
    encoder: Encoder,
    floods: Floods,
    is_flooded: bool,
    peer: PeerSettings,
    /// What a stream may receive.
    stream_window: u32,
    /// How many streams the peer may open.
    max_streams: usize,
    /// The peer knows our SETTINGS.
    is_acknowledged: bool,
    send_window: SendWindow,
    recv_window: RecvWindow,
    /// Streams that wait for the connection's window, or for room.
    waiting: VecDeque<u32>,
    /// The connection's task, and whether it knows that there is something to do.
    waker: Option<Waker>,
    is_notified: bool,
    /// Why the connection is over.
    failure: Option<Failure>,
    /// The newest stream of the peer.
    newest: u32,
    /// The numbers that its last streams have left out: used later they break the rules, where others were streams.
    skipped: std::ops::Range<u32>,
    /// The number of our next stream.
    next: u32,
    /// Requests that nobody has accepted yet.
    accepted: VecDeque<(Head<request::Parts>, u32, u32)>,
    goaway: Goaway,
    /// The peer's GOAWAY has come.
    is_refused: bool,
    /// Handles that may open streams.
    pub(super) clients: usize,
}

/// How far our own end of the connection has come (RFC 9113, section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goaway {
    None,
    /// It was announced, and a PING sent: streams that the peer opens before it answers are still served.
    Announced,
    /// No stream above this one is looked at.
    Last(u32),
}

/// The PING that follows the first GOAWAY.
const SHUTDOWN_PING: [u8; 8] = *b"shutdown";

impl Shared {
    /// The state of a new connection; its first frames are collected.
    pub(super) fn new(role: Role, options: &Http2Options, limits: HeadLimits) -> Arc<Self> {
        let max_streams = options.max_concurrent_streams;
        let mut state = State {
            role,
            limits,
            streams: Streams::default(),
            out: Out::default(),
            unwritten: 0,
            answers: 0,
            unwritten_answers: 0,
            encoder: Encoder::new(),
            floods: Floods::new(role),
            is_flooded: false,
            peer: PeerSettings::default(),
            stream_window: options.initial_stream_window_size,
            max_streams: max_streams as usize,
            is_acknowledged: false,
            send_window: SendWindow::new(DEFAULT_WINDOW),
            // It cannot be made smaller than it is from the start.
            recv_window: RecvWindow::new(options.initial_connection_window_size.max(DEFAULT_WINDOW)),
            waiting: VecDeque::new(),
            waker: None,
            is_notified: false,
            failure: None,
            newest: 0,
            skipped: 0..0,
            next: 1,
            accepted: VecDeque::new(),
            goaway: Goaway::None,
            is_refused: false,
            clients: 0,
        };
        let status = Status::default();
        status.max_streams.store(state.peer.max_streams as usize, Ordering::Relaxed);
        state.begin(&settings::ours(role, options.initial_stream_window_size, max_streams, limits.list_size()));
        state.enlarge(options.initial_connection_window_size);
        Arc::new(Self { state: Mutex::new(state), status })
    }
}

impl State {
    fn begin(&mut self, settings: &[u8]) {
        let out = self.out.tail();
        if self.role == Role::Client {
            out.extend_from_slice(PREFACE);
        }
        put_settings(out, 0, settings);
    }

    fn enlarge(&mut self, window: u32) {
        if let Some(increment) = window.checked_sub(DEFAULT_WINDOW).filter(|increment| *increment > 0) {
            put_window_update(self.out.tail(), 0, increment);
        }
    }

    /// The connection's task has its turn, and looks at everything.
    pub(super) fn begin_turn(&mut self, waker: &Waker) {
        self.is_notified = false;
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// There is something to write, or to look at.
    pub(super) fn notify(&mut self) {
        if !std::mem::replace(&mut self.is_notified, true) {
            self.waker.iter().for_each(Waker::wake_by_ref);
        }
    }

    /// What was collected is about to be written.
    pub(super) fn take_out(&mut self, writing: &mut Out, opened: &mut u32) {
        self.unwritten = self.out.len();
        self.unwritten_answers = std::mem::take(&mut self.answers);
        *opened = self.next.saturating_sub(2);
        std::mem::swap(&mut self.out, writing);
    }

    /// So much of it is left. Those who waited for room go on, as many as it is enough for: whether any are left who
    /// could go on as well, if those that were woken do not.
    pub(super) fn written(&mut self, left: usize) -> bool {
        self.unwritten = left;
        if left == 0 {
            self.unwritten_answers = 0;
        }
        self.grant()
    }

    /// How much waits to be written.
    fn backlog(&self) -> usize {
        self.unwritten + self.out.len()
    }

    /// Whether nothing more is to be read before some of what was collected has left. A client that does not read its
    /// responses gets no more of them. A host's connection waits for nothing but room for answers: were requests
    /// counted, both ends could wait for each other.
    pub(super) fn is_held_up(&self) -> bool {
        match self.role {
            Role::Server => self.backlog() >= BACKLOG,
            Role::Client => self.answers + self.unwritten_answers >= COLLECT,
        }
    }

    /// Where frames go that answer the peer's.
    fn answer(&mut self, put: impl FnOnce(&mut BytesMut)) {
        let before = self.out.len();
        put(self.out.tail());
        self.answers += self.out.len() - before;
        self.notify();
    }

    /// The next request that has come, and its stream, which is held already.
    pub(super) fn accept(&mut self) -> Option<(Head<request::Parts>, u32, u32)> {
        self.accepted.pop_front()
    }

    pub(super) fn stream(&mut self, key: u32) -> Option<&mut Stream> {
        self.streams.get(key)
    }

    /// Whether any stream is open.
    pub(super) fn has_streams(&self) -> bool {
        self.streams.open() > 0
    }

    /// Whether nobody can use this connection any more.
    pub(super) fn is_unused(&self) -> bool {
        self.clients == 0 && self.streams.len() == 0
    }

    /// Whether the peer sends more frames without requests than any honest one: the connection has to go.
    pub(super) fn is_flooded(&self) -> bool {
        self.is_flooded
    }

    /// Whether the connection may end: no new stream will be looked at, and none is left.
    pub(super) fn is_done(&self) -> bool {
        let refuses = match self.role {
            Role::Server => matches!(self.goaway, Goaway::Last(_)),
            Role::Client => self.is_refused,
        };
        refuses && !self.has_streams()
    }

    /// Tells the peer to open no more streams, and gives it the time of a PING for those under way.
    pub(super) fn announce_goaway(&mut self) {
        if self.goaway != Goaway::None {
            return;
        }
        self.goaway = Goaway::Announced;
        put_goaway(self.out.tail(), u32::MAX >> 1, Reason::NO_ERROR);
        put_ping(self.out.tail(), 0, SHUTDOWN_PING);
        self.notify();
    }

    fn last_goaway(&mut self, reason: Reason) {
        let newest = if self.role == Role::Server { self.newest } else { 0 };
        if self.goaway != Goaway::Last(newest) {
            self.goaway = Goaway::Last(newest);
            put_goaway(self.out.tail(), newest, reason);
            self.notify();
        }
    }

    /// Ends the connection from our side; what was collected may still be written.
    pub(super) fn go_away(&mut self, reason: Reason, why: &'static str) {
        self.goaway = Goaway::None;
        self.last_goaway(reason);
        self.fail(Failure::Ended(reason, why));
    }

    /// The connection is over, and with it every stream.
    pub(super) fn fail(&mut self, failure: Failure) {
        if self.failure.is_some() {
            return;
        }
        self.failure = Some(failure);
        for key in self.streams.above(0) {
            self.fail_stream(key, failure);
        }
        self.waiting.clear();
    }

    /// A stream ends before it is complete.
    fn fail_stream(&mut self, key: u32, failure: Failure) {
        let Some(stream) = self.streams.get(key) else { return };
        stream.failure.get_or_insert(failure);
        if std::mem::take(&mut stream.turn) == Turn::Waits {
            self.waiting.retain(|waiting| *waiting != key);
        }
        stream.wake_reader();
        stream.wake_writer();
        self.streams.close(key);
        self.notify();
    }

    /// Our own side does not want the stream any more.
    pub(super) fn give_up(&mut self, key: u32, reason: Reason) {
        self.reset(key, reason, Failure::GivenUp(reason));
    }

    fn reset(&mut self, key: u32, reason: Reason, failure: Failure) {
        let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_closed) else { return };
        let id = stream.id;
        self.put_reset(id, reason);
        self.fail_stream(key, failure);
    }

    fn put_reset(&mut self, id: u32, reason: Reason) {
        self.streams.remember(id);
        self.answer(|out| put_reset(out, id, reason));
    }

    fn close_if_complete(&mut self, key: u32) {
        if self.streams.get(key).is_some_and(|stream| stream.is_sent && stream.is_received) {
            self.streams.close(key);
            // It may have been the last one that the end waits for.
            self.notify();
        }
    }

    /// One more holds the stream.
    pub(super) fn hold(&mut self, key: u32) -> u32 {
        self.streams.get(key).map_or(0, |stream| {
            stream.handles += 1;
            stream.id
        })
    }

    /// One less holds the stream. One that nobody holds is reset, if it is not complete. Whether it was the last one.
    pub(super) fn let_go(&mut self, key: u32) -> bool {
        let Some(stream) = self.streams.get(key) else { return false };
        stream.handles = stream.handles.saturating_sub(1);
        if stream.handles > 0 {
            return false;
        }
        let (is_answered, is_closed) = (self.role == Role::Server && stream.is_sent, stream.is_closed);
        self.discard(key, 0);
        if is_closed {
            self.streams.remove(key);
        } else {
            // Section 8.1: of a request that is answered already, the rest is not wanted.
            let reason = if is_answered { Reason::NO_ERROR } else { Reason::CANCEL };
            self.give_up(key, reason);
        }
        if self.is_unused() {
            self.notify();
        }
        true
    }

    /// Nobody will read what has come, nor what will. Of what was read, `read` bytes have not been given back.
    pub(super) fn discard(&mut self, key: u32, read: u32) {
        let Some(stream) = self.streams.get(key) else { return };
        stream.is_unwanted = true;
        stream.reader = None;
        let unread = stream.inbox.clear();
        self.release_connection(unread.saturating_add(read));
    }
}
