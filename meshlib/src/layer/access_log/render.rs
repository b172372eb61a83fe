//! Writes a record as a line.

use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::{BufMut, BytesMut};
use http::{HeaderName, HeaderValue, Version};

use super::{
    escape,
    format::Format,
    operator::{Address, GrpcStatusForm, Header, Name, Op},
};
use crate::{
    base::{RequestInfo, info::Record},
    http::grpc::Code,
    layer::digits,
};

impl Format {
    /// Appends the line of a record. Allocates nothing while the buffer has room.
    pub(super) fn push(&self, line: &mut BytesMut, info: &RequestInfo, record: &Record) {
        let source = Source { info, record };
        for operator in &self.operators {
            source.push(operator, line);
        }
    }
}

/// What a line is made of.
struct Source<'a> {
    info: &'a RequestInfo,
    record: &'a Record,
}

impl Source<'_> {
    fn push(&self, operator: &Op, line: &mut BytesMut) {
        let Self { info, record } = self;
        match operator {
            Op::Text(text) => line.put_slice(text.as_bytes()),
            Op::Request(header) => push_cut(line, self.request(header), header.max_length),
            Op::RequestWithoutQuery(header) => {
                let path = self.request(header).and_then(|path| path.split(|byte| *byte == b'?').next());
                push_cut(line, path, header.max_length);
            }
            Op::Response(header) => self.push_response(header, line),
            Op::StartTime(format) => format.push(line, info.start_time()),
            Op::Protocol => push_text(line, Some(protocol(record.version))),
            Op::ResponseCode => digits::push(line, record.status.map_or(0, |status| status.as_u16().into())),
            Op::ResponseFlags if record.flags.is_empty() => push_text(line, None),
            Op::ResponseFlags => {
                // Writing to the buffer does not fail: it grows.
                let _ = write!(line, "{}", record.flags);
            }
            Op::BytesReceived => digits::push(line, info.bytes_received()),
            Op::BytesSent => digits::push(line, info.bytes_sent()),
            Op::Duration => push_millis(line, info.duration()),
            Op::RequestDuration => match info.request_end() {
                Some(end) => push_millis(line, end.saturating_duration_since(info.started())),
                None => push_text(line, None),
            },
            Op::UpstreamHost => push_address(line, record.upstream_host(), Address::Whole),
            Op::UpstreamCluster => push_text(line, record.cluster.as_deref()),
            Op::AttemptCount => digits::push(line, record.attempts.len() as u64),
            Op::RouteName => push_text(line, record.route.as_deref()),
            Op::VirtualHostName => push_text(line, record.virtual_host.as_deref()),
            Op::Client(form) => push_address(line, self.client(), *form),
            Op::Peer(form) => push_address(line, info.connection().and_then(|connection| connection.peer), *form),
            Op::Local(form) => push_address(line, info.connection().and_then(|connection| connection.local), *form),
            Op::GrpcStatus(form) => push_grpc_status(line, record.grpc_status, *form),
            Op::ServerName => push_text(line, self.tls().and_then(|tls| tls.server_name.as_deref())),
            Op::TlsVersion => push_text(line, self.tls().and_then(|tls| tls.version)),
        }
    }

    fn tls(&self) -> Option<&crate::base::info::TlsInfo> {
        self.info.connection()?.tls.as_ref()
    }

    /// The trusted client; like Envoy's, an address learnt from a header has port 0.
    fn client(&self) -> Option<SocketAddr> {
        let learnt = self.record.trusted_client.map(|client| SocketAddr::new(client, 0));
        learnt.or_else(|| self.info.connection()?.peer)
    }

    fn request(&self, header: &Header) -> Option<&[u8]> {
        let value = |name: &Name| self.request_value(name);
        value(&header.name).or_else(|| header.alternative.as_ref().and_then(value))
    }

    fn request_value(&self, name: &Name) -> Option<&[u8]> {
        let record = self.record;
        let text = match name {
            // A request that was refused before its head was complete has none of these.
            Name::Method | Name::Path | Name::Scheme if !record.captured => return None,
            Name::Method => record.method.as_str(),
            Name::Path => record.uri.path_and_query()?.as_str(),
            Name::Scheme => match record.uri.scheme_str() {
                Some(scheme) => scheme,
                None if self.tls().is_some() => "https",
                None => "http",
            },
            Name::Authority => return record.authority.as_ref().map(HeaderValue::as_bytes),
            Name::Header(name) => return bytes(record.request_header(name)),
            Name::Status => return None,
        };
        Some(text.as_bytes())
    }

    fn push_response(&self, header: &Header, line: &mut BytesMut) {
        let value = |name: &HeaderName| bytes(self.record.response_header(name));
        for name in std::iter::once(&header.name).chain(&header.alternative) {
            match name {
                Name::Status if self.record.status.is_some() => {
                    return push_cut(
                        line,
                        self.record.status.as_ref().map(|s| s.as_str().as_bytes()),
                        header.max_length,
                    );
                }
                Name::Header(name) if value(name).is_some() => return push_cut(line, value(name), header.max_length),
                _ => {}
            }
        }
        push_text(line, None);
    }
}

fn bytes(value: Option<&HeaderValue>) -> Option<&[u8]> {
    value.map(HeaderValue::as_bytes)
}

/// Text from outside, or `-`.
fn push_cut(line: &mut BytesMut, value: Option<&[u8]>, max_length: usize) {
    match value {
        Some(value) => escape::push(line, value.get(..max_length).unwrap_or(value)),
        None => push_text(line, None),
    }
}

/// Text of our own or of the configuration, or `-`. A server name is a client's, so it is escaped as well.
fn push_text(line: &mut BytesMut, text: Option<&str>) {
    escape::push(line, text.unwrap_or("-").as_bytes());
}

fn push_millis(line: &mut BytesMut, duration: Duration) {
    digits::push(line, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
}

fn push_address(line: &mut BytesMut, address: Option<SocketAddr>, form: Address) {
    let Some(address) = address else { return push_text(line, None) };
    // A client of a dual-stack socket is an IPv4 client still.
    let (ip, port): (IpAddr, u16) = (address.ip().to_canonical(), address.port());
    match form {
        Address::Whole => digits::push_address(line, SocketAddr::new(ip, port)),
        Address::WithoutPort => digits::push_ip(line, ip),
        Address::Port => digits::push(line, port.into()),
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "-",
    }
}

fn push_grpc_status(line: &mut BytesMut, status: Option<u32>, form: GrpcStatusForm) {
    let Some(status) = status else { return push_text(line, None) };
    match (Code(status).name(), form) {
        (Some(name), GrpcStatusForm::Camel) => push_text(line, Some(name)),
        (Some(name), GrpcStatusForm::Snake) => push_snake(line, name),
        _ => digits::push(line, status.into()),
    }
}

/// `NotFound` as `NOT_FOUND`.
fn push_snake(line: &mut BytesMut, name: &str) {
    let mut after_lower = false;
    for letter in name.bytes() {
        if letter.is_ascii_uppercase() && after_lower {
            line.put_u8(b'_');
        }
        line.put_u8(letter.to_ascii_uppercase());
        after_lower = letter.is_ascii_lowercase();
    }
}

#[cfg(test)]
mod tests;
