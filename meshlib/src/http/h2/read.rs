//! From bytes to frames, and what each of them does.
//!
//! Bytes are read into a buffer that all connections of a worker share. DATA is passed on as it comes; only a frame of
//! another type that is not all there is kept here.

use bytes::{Buf, BytesMut};

use super::{
    error::Violation,
    frame::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEAD, HEADERS, Head, MAX_PAYLOAD, PADDED, PING,
        PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY, without_padding,
    },
    head::{Fields, Targets},
    hpack::Decoder,
    reason::Reason,
    role::Role,
    state::{State, Status},
};

/// Our SETTINGS_HEADER_TABLE_SIZE, the default.
const TABLE: usize = 4096;
/// The most bytes of header blocks that are read in one turn. Decoded they may take a hundred times as much, until the
/// tasks of their streams have looked at them; those run between turns.
const HEADS_PER_TURN: usize = 16 << 10;
/// What a block counts for besides its bytes: a few of them may be a request.
const LEAST_HEAD: usize = 64;
/// The most CONTINUATION frames of a block. Who sends whole frames needs a few.
const CONTINUATIONS: u32 = 64;

/// The receiving end of a connection.
#[derive(Debug)]
pub(super) struct Reader {
    step: Step,
    /// The beginning of a head or of a payload.
    partial: BytesMut,
    /// A block that goes on in CONTINUATION frames.
    block: Option<Block>,
    /// How many blocks have begun.
    blocks: u32,
    /// Bytes of header blocks in this turn.
    head_bytes: usize,
    /// The peer's first frame was its SETTINGS.
    has_begun: bool,
    decoder: Decoder,
    targets: Targets,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So much of the client's preface has come.
    Preface(usize),
    Head,
    /// Of a frame that is looked at when it is whole.
    Payload(Head),
    /// Of DATA, as it comes.
    Data(Data),
}

/// A frame of DATA that is under way.
#[derive(Clone, Copy, Debug)]
struct Data {
    /// Where it goes, if anybody is to have it.
    to: Option<u32>,
    id: u32,
    left: usize,
    end: bool,
}

#[derive(Debug)]
struct Block {
    id: u32,
    end: bool,
    bytes: BytesMut,
    continuations: u32,
}

/// Why a peer has to go that does much and asks for nothing.
pub(super) const FLOODED: &str = "too many frames that are no requests";

fn protocol<T>(why: &'static str) -> Result<T, Violation> {
    Err(Violation(Reason::PROTOCOL_ERROR, why))
}

fn frame_size<T>(why: &'static str) -> Result<T, Violation> {
    Err(Violation(Reason::FRAME_SIZE_ERROR, why))
}

impl Reader {
    pub(super) fn new(role: Role) -> Self {
        let step = if role == Role::Server { Step::Preface(0) } else { Step::Head };
        let (decoder, targets) = (Decoder::new(TABLE), Targets::default());
        let (partial, head_bytes, has_begun) = (BytesMut::new(), 0, false);
        Self { step, partial, block: None, blocks: 0, head_bytes, has_begun, decoder, targets }
    }

    /// Whether the client's preface has come.
    pub(super) fn has_preface(&self) -> bool {
        !matches!(self.step, Step::Preface(_))
    }

    /// The number of a header block that has begun and not ended. Nothing else can come before it has.
    pub(super) fn block_under_way(&self) -> Option<u32> {
        let is_head = |head: Head| matches!(head.kind, HEADERS | CONTINUATION);
        let is_open = self.block.is_some() || matches!(self.step, Step::Payload(head) if is_head(head));
        is_open.then_some(self.blocks)
    }

    pub(super) fn begin_turn(&mut self) {
        self.head_bytes = 0;
    }

    /// Whether enough was read for one turn.
    pub(super) fn is_turn_over(&self) -> bool {
        self.head_bytes >= HEADS_PER_TURN
    }

    /// Looks at what was read: at all of `bytes`, unless the turn is over before.
    pub(super) fn feed(&mut self, bytes: &mut &[u8], state: &mut State, status: &Status) -> Result<(), Violation> {
        while !bytes.is_empty() && !self.is_turn_over() {
            match self.step {
                Step::Preface(matched) => self.preface(matched, bytes)?,
                Step::Head => {
                    if let Some(head) = take(&mut self.partial, bytes, HEAD)
                        && let Some(head) = head.bytes().first_chunk()
                    {
                        self.begin(Head::parse(*head), state, status)?;
                    }
                }
                Step::Payload(head) => {
                    if let Some(payload) = take(&mut self.partial, bytes, head.length) {
                        self.step = Step::Head;
                        self.whole(head, payload.bytes(), state, status)?;
                    }
                }
                Step::Data(data) => {
                    let (here, rest) = bytes.split_at_checked(data.left).unwrap_or((bytes, &[]));
                    *bytes = rest;
                    self.data(data, here, state);
                }
            }
        }
        Ok(())
    }

    fn preface(&mut self, matched: usize, bytes: &mut &[u8]) -> Result<(), Violation> {
        let expected = PREFACE.get(matched..).unwrap_or_default();
        let length = expected.len().min(bytes.len());
        let (these, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        if !expected.starts_with(these) {
            return protocol("this is not the preface of HTTP/2");
        }
        *bytes = rest;
        self.step = if length == expected.len() { Step::Head } else { Step::Preface(matched + length) };
        Ok(())
    }

    fn begin(&mut self, head: Head, state: &mut State, status: &Status) -> Result<(), Violation> {
        if head.length > MAX_PAYLOAD {
            return frame_size("a frame larger than SETTINGS_MAX_FRAME_SIZE");
        }
        if !self.has_begun && (head.kind != SETTINGS || head.has(ACK)) {
            return protocol("the first frame is not SETTINGS");
        }
        self.has_begun = true;
        let continues = self.block.as_ref().is_some_and(|block| block.id == head.stream);
        match (head.kind, &self.block) {
            (CONTINUATION, Some(_)) if continues => {}
            (_, Some(_)) | (CONTINUATION, None) => return protocol("a header block is not continued"),
            (HEADERS, None) => self.blocks = self.blocks.wrapping_add(1).max(1),
            _ => {}
        }
        state.frame(head);
        if state.is_flooded() {
            return Err(Violation(Reason::ENHANCE_YOUR_CALM, FLOODED));
        }
        if head.kind == DATA && !head.has(PADDED) {
            return self.begin_data(head, state);
        }
        if head.length == 0 {
            return self.whole(head, &[], state, status);
        }
        self.step = Step::Payload(head);
        Ok(())
    }

    fn begin_data(&mut self, head: Head, state: &mut State) -> Result<(), Violation> {
        if head.stream == 0 {
            return protocol("DATA on stream 0");
        }
        let to = state.data_begins(head.stream, head.length as u32)?;
        let data = Data { to, id: head.stream, left: head.length, end: head.has(END_STREAM) };
        self.data(data, &[], state);
        Ok(())
    }

    fn data(&mut self, mut data: Data, here: &[u8], state: &mut State) {
        data.left = data.left.saturating_sub(here.len());
        if let Some(key) = data.to.filter(|_| !here.is_empty()) {
            state.data(key, data.id, here);
        }
        if let Some(key) = data.to.filter(|_| data.left == 0 && data.end) {
            state.ends(key, data.id);
        }
        self.step = if data.left == 0 { Step::Head } else { Step::Data(data) };
    }

    /// A frame is there from end to end.
    fn whole(&mut self, head: Head, payload: &[u8], state: &mut State, status: &Status) -> Result<(), Violation> {
        let on_connection = head.stream == 0;
        match head.kind {
            DATA | HEADERS | PRIORITY | RST_STREAM if on_connection => protocol("a stream's frame on stream 0"),
            SETTINGS | PING | GOAWAY if !on_connection => protocol("a connection's frame on a stream"),
            DATA => padded_data(head, payload, state),
            HEADERS => self.headers(head, payload, state),
            CONTINUATION => self.continuation(head, payload, state),
            PRIORITY => priority(head, payload, state),
            RST_STREAM => match payload.try_into() {
                Ok(reason) => state.was_reset(head.stream, Reason(u32::from_be_bytes(reason))),
                Err(_) => frame_size("RST_STREAM has four bytes"),
            },
            SETTINGS if !head.has(ACK) => state.settings(payload, status),
            SETTINGS if !payload.is_empty() => frame_size("an acknowledgement has no settings"),
            SETTINGS => {
                state.acknowledged();
                Ok(())
            }
            PUSH_PROMISE => protocol("push is not enabled"),
            PING => match payload.try_into() {
                Ok(payload) => {
                    state.ping(head.has(ACK), payload);
                    Ok(())
                }
                Err(_) => frame_size("PING has eight bytes"),
            },
            GOAWAY => goaway(payload, state, status),
            WINDOW_UPDATE => match payload.try_into() {
                // The highest bit is reserved.
                Ok(increment) => state.window_update(head.stream, u32::from_be_bytes(increment) & !(1 << 31)),
                Err(_) => frame_size("WINDOW_UPDATE has four bytes"),
            },
            // Unknown ones are to be ignored (RFC 9113, section 5.5).
            _ => Ok(()),
        }
    }

    fn headers(&mut self, head: Head, payload: &[u8], state: &mut State) -> Result<(), Violation> {
        let Some(mut block) = without_padding(head, payload) else {
            return protocol("padding longer than its frame");
        };
        let mut depends_on = 0;
        if head.has(WITH_PRIORITY) {
            let Some((dependency, rest)) = block.split_first_chunk() else {
                return frame_size("a priority has five bytes");
            };
            (depends_on, block) = (dependency_of(*dependency), rest);
        }
        let end = head.has(END_STREAM);
        self.head_bytes += block.len() + LEAST_HEAD;
        if head.has(END_HEADERS) {
            self.decode(head.stream, end, block, state)?;
            return if depends_on == head.stream { state.depends_on_itself(head.stream) } else { Ok(()) };
        }
        self.block = Some(Block { id: head.stream, end, bytes: block.into(), continuations: 0 });
        Ok(())
    }

    fn continuation(&mut self, head: Head, payload: &[u8], state: &mut State) -> Result<(), Violation> {
        let Some(mut block) = self.block.take() else { return Ok(()) };
        block.continuations += 1;
        block.bytes.extend_from_slice(payload);
        self.head_bytes += payload.len();
        if block.bytes.len() > state.limits.block() || block.continuations > CONTINUATIONS {
            return Err(Violation(Reason::ENHANCE_YOUR_CALM, "a header block without end"));
        }
        if head.has(END_HEADERS) {
            return self.decode(block.id, block.end, &block.bytes, state);
        }
        self.block = Some(block);
        Ok(())
    }

    fn decode(&mut self, id: u32, end: bool, block: &[u8], state: &mut State) -> Result<(), Violation> {
        let mut fields = match state.expects_trailers(id) {
            true => Fields::of_trailers(state.limits),
            false => Fields::of_head(state.limits),
        };
        let targets = &mut self.targets;
        let decoded = self.decoder.decode(block, |name, value| fields.push(name, value, targets));
        match decoded {
            Ok(()) => state.block(id, end, fields),
            Err(_) => Err(Violation(Reason::COMPRESSION_ERROR, "a header block that is no HPACK")),
        }
    }
}

/// Padding belongs to the window, and to nobody.
fn padded_data(head: Head, payload: &[u8], state: &mut State) -> Result<(), Violation> {
    let Some(key) = state.data_begins(head.stream, payload.len() as u32)? else { return Ok(()) };
    let Some(data) = without_padding(head, payload) else { return protocol("padding longer than its frame") };
    state.data(key, head.stream, data);
    let end = head.has(END_STREAM);
    state.padded(key, (payload.len() - data.len()) as u32, data.is_empty() && !end);
    if end {
        state.ends(key, head.stream);
    }
    Ok(())
}

/// Priorities are deprecated, and not heeded (RFC 9113, section 5.3.2); their form is checked.
fn priority(head: Head, payload: &[u8], state: &mut State) -> Result<(), Violation> {
    match payload.try_into() {
        Err(_) => frame_size("PRIORITY has five bytes"),
        Ok(dependency) if dependency_of(dependency) == head.stream => state.depends_on_itself(head.stream),
        Ok(_) => Ok(()),
    }
}

/// The stream that a priority names; the highest bit says something else.
fn dependency_of([a, b, c, d, _]: [u8; 5]) -> u32 {
    u32::from_be_bytes([a & 0x7f, b, c, d])
}

fn goaway(payload: &[u8], state: &mut State, status: &Status) -> Result<(), Violation> {
    let Some(([a, b, c, d, reason @ ..], _)) = payload.split_first_chunk::<8>() else {
        return frame_size("GOAWAY has eight bytes at least");
    };
    let last = u32::from_be_bytes([a & 0x7f, *b, *c, *d]);
    state.goes_away(last, Reason(u32::from_be_bytes(*reason)), status);
    Ok(())
}

/// So many bytes in a row: where they are, or put together from what came before.
enum Taken<'a> {
    Here(&'a [u8]),
    Joined(BytesMut),
}

impl Taken<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Here(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

/// Takes `length` bytes, the first of which may be in `partial` already; `None`, and all there are there, if more have
/// to come.
fn take<'a>(partial: &mut BytesMut, bytes: &mut &'a [u8], length: usize) -> Option<Taken<'a>> {
    if partial.is_empty()
        && let Some((here, rest)) = bytes.split_at_checked(length)
    {
        *bytes = rest;
        return Some(Taken::Here(here));
    }
    let missing = length.saturating_sub(partial.len()).min(bytes.len());
    partial.extend_from_slice(bytes.get(..missing).unwrap_or_default());
    bytes.advance(missing);
    (partial.len() >= length).then(|| Taken::Joined(std::mem::take(partial)))
}
