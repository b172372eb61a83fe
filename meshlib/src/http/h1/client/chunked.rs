//! The chunked coding (RFC 9112, section 7.1), from bytes as they come to data and trailers.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::{
    head::{Malformed, fields},
    wire::{ends_head, take_data},
};

/// The most bytes of chunk extensions that one body may have: nobody reads them.
const EXTENSIONS: usize = 16 << 10;
/// The most digits of a chunk's size, leading zeros included.
const DIGITS: u32 = 16;
/// The most bytes of trailers, and the most fields.
const TRAILERS: usize = 16 << 10;
const TRAILER_FIELDS: usize = 100;

/// What comes next of a body.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
}

/// Where in a body the next byte is.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    step: Step,
    /// Of the chunk: what its line says, then what is left of its data.
    size: u64,
    digits: u32,
    extensions: usize,
    /// How many bytes are known to be no whole trailers.
    looked_at: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// The first digit of a size, of which there is at least one.
    #[default]
    Size,
    Digits,
    /// What may follow the size, up to the end of its line.
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    End,
}

impl Chunked {
    /// Takes what comes next from the beginning of `read`; `None` if more has to come first.
    pub(super) fn decode(&mut self, read: &mut BytesMut) -> Result<Option<Piece>, Malformed> {
        loop {
            match self.step {
                Step::End => return Ok(Some(Piece::End)),
                Step::Trailers => return self.trailers(read),
                _ if read.is_empty() => return Ok(None),
                Step::Data => return Ok(Some(Piece::Data(self.data(read)))),
                _ => self.step = self.line(read.get_u8())?,
            }
        }
    }

    fn data(&mut self, read: &mut BytesMut) -> Bytes {
        let here = usize::try_from(self.size).unwrap_or(usize::MAX).min(read.len());
        self.size -= here as u64;
        if self.size == 0 {
            self.step = Step::DataCr;
        }
        take_data(read, here)
    }

    /// A byte of what stands around the data.
    fn line(&mut self, byte: u8) -> Result<Step, Malformed> {
        let digit = char::from(byte).to_digit(16);
        Ok(match (self.step, byte) {
            (Step::Size | Step::Digits, _) if let Some(digit) = digit => {
                if self.step == Step::Size {
                    (self.size, self.digits) = (0, 0);
                }
                self.digits += 1;
                if self.digits > DIGITS {
                    return Err(Malformed("a chunk that is too large"));
                }
                self.size = self.size << 4 | u64::from(digit);
                Step::Digits
            }
            (Step::Digits | Step::Extension, b'\r') => Step::SizeLf,
            (Step::Digits, b';' | b' ' | b'\t') => Step::Extension,
            // Line breaks of another kind are where readers differ.
            (Step::Extension, byte) if byte != b'\n' && self.extensions < EXTENSIONS => {
                self.extensions += 1;
                Step::Extension
            }
            (Step::SizeLf, b'\n') if self.size == 0 => Step::Trailers,
            (Step::SizeLf, b'\n') => Step::Data,
            (Step::DataCr, b'\r') => Step::DataLf,
            (Step::DataLf, b'\n') => Step::Size,
            _ => return Err(Malformed("a body in chunks that are none")),
        })
    }

    fn trailers(&mut self, read: &mut BytesMut) -> Result<Option<Piece>, Malformed> {
        let looked_at = std::mem::replace(&mut self.looked_at, read.len());
        let may_end = matches!(**read, [b'\n', ..] | [b'\r', b'\n', ..]) || ends_head(read, looked_at);
        if !may_end && read.len() <= TRAILERS {
            return Ok(None);
        }
        let mut raw = [httparse::EMPTY_HEADER; TRAILER_FIELDS];
        match httparse::parse_headers(read, &mut raw) {
            Ok(httparse::Status::Complete((length, raw))) if length <= TRAILERS => {
                let trailers = fields(raw)?;
                read.advance(length);
                self.step = Step::End;
                Ok(Some(if trailers.is_empty() { Piece::End } else { Piece::Trailers(trailers) }))
            }
            Ok(httparse::Status::Partial) if read.len() <= TRAILERS => Ok(None),
            _ => Err(Malformed("trailers that are none, or too large")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data, trailers, and what is left of the bytes.
    type Decoded = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    /// What a body decodes to, when so many bytes come at once.
    fn decode(body: &[u8], at_once: usize) -> Result<Decoded, Malformed> {
        let (mut chunked, mut read) = (Chunked::default(), BytesMut::new());
        let (mut data, mut trailers) = (Vec::new(), None);
        let mut coming = body.chunks(at_once);
        loop {
            match chunked.decode(&mut read)? {
                Some(Piece::Data(piece)) => data.extend(piece),
                Some(Piece::Trailers(found)) => trailers = Some(found),
                Some(Piece::End) => break,
                None => match coming.next() {
                    Some(bytes) => read.extend_from_slice(bytes),
                    None => return Err(Malformed("unfinished")),
                },
            }
        }
        read.extend(coming.flatten());
        Ok((data, trailers, read.to_vec()))
    }

    #[test]
    fn however_it_comes() {
        let body = b"3\r\nabc\r\n0000A ;name=\"v\"\r\n0123456789\r\n0\r\nx-sum: 7\r\nx-sum: 8\r\n\r\nHTTP";
        for at_once in 1..=body.len() {
            let (data, trailers, rest) = decode(body, at_once).unwrap();
            assert_eq!(data, b"abc0123456789", "{at_once} at once");
            assert_eq!(trailers.unwrap().get_all("x-sum").iter().collect::<Vec<_>>(), ["7", "8"]);
            assert_eq!(rest, b"HTTP");
        }
        assert_eq!(decode(b"0\r\n\r\n", 1).unwrap(), (vec![], None, vec![]));
    }

    #[test]
    fn what_readers_differ_over_is_refused() {
        let many = format!("1;{}\r\n", "x".repeat(EXTENSIONS + 1));
        let large = format!("0\r\nx: {}", "y".repeat(TRAILERS + 1));
        for body in [
            "\r\n",
            ";x\r\n",
            " 1\r\na\r\n",
            "0x1\r\na\r\n",
            "+1\r\na\r\n",
            "-1\r\na\r\n",
            "1\na\r\n",
            "1\rx",
            "1;x\ny\r\na\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\na\rx",
            "10000000000000000\r\n",
            "00000000000000001\r\n",
            "0\r\nno colon\r\n\r\n",
            &many,
            &large,
        ] {
            let refused = decode(body.as_bytes(), 7).unwrap_err();
            assert_ne!(refused, Malformed("unfinished"), "{:?}", &body[..body.len().min(40)]);
        }
        assert_eq!(decode(b"f000000000000000\r\na", 9).unwrap_err(), Malformed("unfinished"), "the most");
    }
}
