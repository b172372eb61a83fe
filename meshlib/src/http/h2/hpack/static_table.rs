//! The static table (RFC 7541, appendix A), for both directions.

use http::{HeaderName, HeaderValue};

use super::{Name, Pseudo, hash::hash};

/// The dynamic table's indices begin after the static table's.
pub(super) const LEN: usize = 61;

/// Of names whose values other clients of the same host must not be able to guess.
pub(super) const AUTHORIZATION: usize = 23;
pub(super) const COOKIE: usize = 32;
pub(super) const PROXY_AUTHORIZATION: usize = 49;
pub(super) const SET_COOKIE: usize = 55;

/// The only field besides the pseudo-header fields that has a value in the table.
const ACCEPT_ENCODING: usize = 16;
const ENCODINGS: &str = "gzip, deflate";

/// Entries 1 to 14.
static PSEUDO: [(Pseudo, HeaderValue); 14] = [
    (Pseudo::Authority, HeaderValue::from_static("")),
    (Pseudo::Method, HeaderValue::from_static("GET")),
    (Pseudo::Method, HeaderValue::from_static("POST")),
    (Pseudo::Path, HeaderValue::from_static("/")),
    (Pseudo::Path, HeaderValue::from_static("/index.html")),
    (Pseudo::Scheme, HeaderValue::from_static("http")),
    (Pseudo::Scheme, HeaderValue::from_static("https")),
    (Pseudo::Status, HeaderValue::from_static("200")),
    (Pseudo::Status, HeaderValue::from_static("204")),
    (Pseudo::Status, HeaderValue::from_static("206")),
    (Pseudo::Status, HeaderValue::from_static("304")),
    (Pseudo::Status, HeaderValue::from_static("400")),
    (Pseudo::Status, HeaderValue::from_static("404")),
    (Pseudo::Status, HeaderValue::from_static("500")),
];

/// Entries 15 to 61, as text for the encoder's index and as names for the decoder.
macro_rules! fields {
    ($($name:literal)*) => {
        const NAMES: [&str; LEN - 14] = [$($name),*];
        static FIELDS: [HeaderName; LEN - 14] = [$(HeaderName::from_static($name)),*];
    };
}

fields! {
    "accept-charset" "accept-encoding" "accept-language" "accept-ranges" "accept" "access-control-allow-origin" "age"
    "allow" "authorization" "cache-control" "content-disposition" "content-encoding" "content-language" "content-length"
    "content-location" "content-range" "content-type" "cookie" "date" "etag" "expect" "expires" "from" "host" "if-match"
    "if-modified-since" "if-none-match" "if-range" "if-unmodified-since" "last-modified" "link" "location"
    "max-forwards" "proxy-authenticate" "proxy-authorization" "range" "referer" "refresh" "retry-after" "server"
    "set-cookie" "strict-transport-security" "transfer-encoding" "user-agent" "vary" "via" "www-authenticate"
}

/// The entry with this index, from 1 to [`LEN`]. Nothing of it is allocated.
#[inline]
pub(super) fn entry(index: usize) -> Option<(Name, HeaderValue)> {
    if let Some((name, value)) = PSEUDO.get(index.checked_sub(1)?) {
        return Some((Name::Pseudo(*name), value.clone()));
    }
    let value = if index == ACCEPT_ENCODING { ENCODINGS } else { "" };
    Some((name(index)?, HeaderValue::from_static(value)))
}

/// The name of the entry with this index.
#[inline]
pub(super) fn name(index: usize) -> Option<Name> {
    if let Some((name, _)) = PSEUDO.get(index.checked_sub(1)?) {
        return Some(Name::Pseudo(*name));
    }
    let name = FIELDS.get(index - 1 - PSEUDO.len())?;
    Some(Name::Field(name.clone()))
}

/// The first entry of this name; `:protocol` is younger than the table.
#[inline]
pub(super) fn pseudo_index(name: Pseudo) -> Option<usize> {
    match name {
        Pseudo::Authority => Some(1),
        Pseudo::Method => Some(2),
        Pseudo::Path => Some(4),
        Pseudo::Scheme => Some(6),
        Pseudo::Status => Some(8),
        Pseudo::Protocol => None,
    }
}

/// The entry of this pseudo-header field, value and all.
#[inline]
pub(super) fn pseudo_match(name: Pseudo, value: &[u8]) -> Option<usize> {
    match (name, value) {
        (Pseudo::Authority, b"") => Some(1),
        (Pseudo::Method, b"GET") => Some(2),
        (Pseudo::Method, b"POST") => Some(3),
        (Pseudo::Path, b"/") => Some(4),
        (Pseudo::Path, b"/index.html") => Some(5),
        (Pseudo::Scheme, b"http") => Some(6),
        (Pseudo::Scheme, b"https") => Some(7),
        (Pseudo::Status, b"200") => Some(8),
        (Pseudo::Status, b"204") => Some(9),
        (Pseudo::Status, b"206") => Some(10),
        (Pseudo::Status, b"304") => Some(11),
        (Pseudo::Status, b"400") => Some(12),
        (Pseudo::Status, b"404") => Some(13),
        (Pseudo::Status, b"500") => Some(14),
        _ => None,
    }
}

/// Whether the entry of a field, found by its name, has this value too.
#[inline]
pub(super) fn field_matches(index: usize, value: &[u8]) -> bool {
    if index == ACCEPT_ENCODING { value == ENCODINGS.as_bytes() } else { value.is_empty() }
}

/// Where a name is found by the first byte of its hash: the first seed under which these bytes all differ, and for each
/// byte the position in [`NAMES`] plus one.
const INDEX: (u64, [u8; 256]) = {
    let mut seed = 0;
    loop {
        if let Some(slots) = slots(seed) {
            break (seed, slots);
        }
        seed += 1;
    }
};

/// The seed of names' hashes.
pub(super) const NAME_SEED: u64 = INDEX.0;
static SLOTS: [u8; 256] = INDEX.1;

#[allow(clippy::indexing_slicing, reason = "runs at compile time")]
const fn slots(seed: u64) -> Option<[u8; 256]> {
    let mut slots = [0; 256];
    let mut entry = 0;
    while entry < NAMES.len() {
        let slot = (hash(seed, NAMES[entry].as_bytes()) >> 56) as usize;
        if slots[slot] != 0 {
            return None;
        }
        entry += 1;
        slots[slot] = entry as u8;
    }
    Some(slots)
}

/// The entry of a field of this name, whose hash with [`NAME_SEED`] is `hash`.
#[inline]
pub(super) fn field_index(name: &str, hash: u64) -> Option<usize> {
    let position = SLOTS.get((hash >> 56) as usize)?.checked_sub(1)?;
    let found = NAMES.get(usize::from(position))?;
    (*found == name).then_some(usize::from(position) + PSEUDO.len() + 1)
}
