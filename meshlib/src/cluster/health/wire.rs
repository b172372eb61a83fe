//! The two messages of `grpc.health.v1`, in gRPC's framing. Two fields do not need a protobuf library.

use bytes::{BufMut, Bytes, BytesMut};

/// gRPC's prefix: a compression flag and the length.
const PREFIX: usize = 5;
/// `HealthCheckRequest.service` and `HealthCheckResponse.status` are field 1.
const FIELD: u64 = 1;
/// `ServingStatus.SERVING`.
const SERVING: u64 = 1;

/// A whole `HealthCheckRequest` frame; no service asks for the whole server.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8((FIELD as u8) << 3 | 2);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(&message);
    frame.freeze()
}

/// Whether a whole response body is exactly one uncompressed message, and that says SERVING.
pub(super) fn is_serving(body: &[u8]) -> Result<bool, &'static str> {
    let Some((prefix, message)) = body.split_first_chunk::<PREFIX>() else {
        return Err(if body.is_empty() { "the response has no message" } else { "the response's message is cut off" });
    };
    let [flag, length @ ..] = *prefix;
    if flag != 0 {
        return Err("the response is compressed, which was not offered");
    }
    let length = u32::from_be_bytes(length) as usize;
    match message.len() {
        held if held < length => Err("the response's message is cut off"),
        held if held > length => Err("the response has more than one message"),
        _ => status(message).map(|status| status == SERVING).ok_or("the response's message is no protobuf"),
    }
}

/// `HealthCheckResponse.status`: 0 when absent, the last one when repeated; other fields are skipped. `None` when the
/// message cannot be read.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        match (tag >> 3, tag & 7) {
            (0, _) => return None,
            (FIELD, 0) => status = take_varint(&mut message)?,
            (FIELD, _) => return None,
            (_, 0) => _ = take_varint(&mut message)?,
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_framed() {
        assert_eq!(request("").as_ref(), [0; 5]);
        assert_eq!(request("echo").as_ref(), b"\0\0\0\0\x06\x0a\x04echo");
        let long = "a".repeat(300);
        assert_eq!(request(&long)[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn one_message_that_says_serving() {
        for (body, expected) in [
            (&b"\0\0\0\0\x02\x08\x01"[..], Ok(true)),
            (b"\0\0\0\0\x02\x08\x02", Ok(false)),
            (b"\0\0\0\0\x00", Ok(false)),
            (b"\0\0\0\0\x03\x08\x81\x00", Ok(true)),
            (b"\0\0\0\0\x04\x08\x02\x08\x01", Ok(true)),
            (b"\0\0\0\0\x15\x12\x01x\x18\x05\x21\0\0\0\0\0\0\0\0\x2d\0\0\0\0\x08\x01", Ok(true)),
            (b"", Err("the response has no message")),
            (b"\0\0\0\0", Err("the response's message is cut off")),
            (b"\0\0\0\0\x03\x08\x01", Err("the response's message is cut off")),
            (b"\0\0\0\0\x02\x08\x01\0\0\0\0\x02\x08\x01", Err("the response has more than one message")),
            (b"\x01\0\0\0\x02\x08\x01", Err("the response is compressed, which was not offered")),
            (b"\0\0\0\0\x02\x08\x80", Err("the response's message is no protobuf")),
            (b"\0\0\0\0\x03\x0a\x01x", Err("the response's message is no protobuf")),
            (b"\0\0\0\0\x02\x12\x7f", Err("the response's message is no protobuf")),
            (b"\0\0\0\0\x01\x13", Err("the response's message is no protobuf")),
            (
                b"\0\0\0\0\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                Err("the response's message is no protobuf"),
            ),
        ] {
            assert_eq!(is_serving(body), expected, "{body:02x?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let length = rng.usize(..24);
            let mut body = vec![0, 0, 0, 0, length as u8];
            body.extend(std::iter::repeat_with(|| rng.u8(..)).take(length));
            let _ = is_serving(&body);
        }
    }
}
