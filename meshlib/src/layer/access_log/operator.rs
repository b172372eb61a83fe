//! The operators of a format string, compiled.

use http::HeaderName;

use super::time::TimeFormat;

/// One operator, or the text between two.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op {
    Text(Box<str>),
    Request(Header),
    /// A request header, as a path without its query.
    RequestWithoutQuery(Header),
    Response(Header),
    StartTime(TimeFormat),
    Protocol,
    ResponseCode,
    ResponseFlags,
    BytesReceived,
    BytesSent,
    Duration,
    RequestDuration,
    UpstreamHost,
    UpstreamCluster,
    AttemptCount,
    RouteName,
    VirtualHostName,
    /// The trusted client, or the connection's peer.
    Client(Address),
    /// The connection's peer.
    Peer(Address),
    Local(Address),
    GrpcStatus(GrpcStatusForm),
    ServerName,
    TlsVersion,
}

/// How an address is printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Address {
    Whole,
    WithoutPort,
    Port,
}

/// How a gRPC status is printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum GrpcStatusForm {
    /// `NotFound`.
    Camel,
    /// `NOT_FOUND`.
    Snake,
    /// `5`.
    Number,
}

/// A header, another to take in its absence, and how much of it to print.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    pub(super) name: Name,
    pub(super) alternative: Option<Name>,
    pub(super) max_length: usize,
}

/// What stands in a `REQ` or `RESP`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Name {
    Method,
    Path,
    Authority,
    Scheme,
    Status,
    Header(HeaderName),
}

impl Op {
    /// Compiles `NAME(argument):max_length`; the error says what is wrong.
    pub(super) fn parse(name: &str, argument: Option<&str>, max_length: Option<usize>) -> Result<Self, String> {
        if let Some(operator) = header(name, argument, max_length) {
            return operator;
        }
        if max_length.is_some() {
            return Err(format!("`%{name}%` takes no maximal length"));
        }
        match (name, argument) {
            ("START_TIME", None | Some("")) => Ok(Self::StartTime(TimeFormat::envoys())),
            ("START_TIME", Some(format)) => TimeFormat::parse(format).map(Self::StartTime),
            ("GRPC_STATUS", Some(form)) => match form {
                "CAMEL_STRING" | "" => Ok(Self::GrpcStatus(GrpcStatusForm::Camel)),
                "SNAKE_STRING" => Ok(Self::GrpcStatus(GrpcStatusForm::Snake)),
                "NUMBER" => Ok(Self::GrpcStatus(GrpcStatusForm::Number)),
                other => Err(format!("`{other}` is no form of `%GRPC_STATUS%`")),
            },
            (_, None) => plain(name).ok_or_else(|| format!("unknown operator `%{name}%`")),
            (_, Some(_)) if plain(name).is_some() => Err(format!("`%{name}%` takes no argument")),
            _ => Err(format!("unknown operator `%{name}%`")),
        }
    }
}

/// The operators without an argument.
fn plain(name: &str) -> Option<Op> {
    Some(match name {
        "PROTOCOL" => Op::Protocol,
        "RESPONSE_CODE" => Op::ResponseCode,
        "RESPONSE_FLAGS" => Op::ResponseFlags,
        "BYTES_RECEIVED" => Op::BytesReceived,
        "BYTES_SENT" => Op::BytesSent,
        "DURATION" => Op::Duration,
        "REQUEST_DURATION" => Op::RequestDuration,
        "UPSTREAM_HOST" => Op::UpstreamHost,
        "UPSTREAM_CLUSTER" => Op::UpstreamCluster,
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => Op::AttemptCount,
        "ROUTE_NAME" => Op::RouteName,
        "VIRTUAL_HOST_NAME" => Op::VirtualHostName,
        "DOWNSTREAM_REMOTE_ADDRESS" => Op::Client(Address::Whole),
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => Op::Client(Address::WithoutPort),
        "DOWNSTREAM_REMOTE_PORT" => Op::Client(Address::Port),
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => Op::Peer(Address::Whole),
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => Op::Peer(Address::WithoutPort),
        "DOWNSTREAM_DIRECT_REMOTE_PORT" => Op::Peer(Address::Port),
        "DOWNSTREAM_LOCAL_ADDRESS" => Op::Local(Address::Whole),
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Op::Local(Address::WithoutPort),
        "DOWNSTREAM_LOCAL_PORT" => Op::Local(Address::Port),
        "GRPC_STATUS" => Op::GrpcStatus(GrpcStatusForm::Camel),
        "GRPC_STATUS_NUMBER" => Op::GrpcStatus(GrpcStatusForm::Number),
        "REQUESTED_SERVER_NAME" => Op::ServerName,
        "DOWNSTREAM_TLS_VERSION" => Op::TlsVersion,
        _ => return None,
    })
}

/// The operators that name headers; `None` for others.
fn header(name: &str, argument: Option<&str>, max_length: Option<usize>) -> Option<Result<Op, String>> {
    let (make, request): (fn(Header) -> Op, _) = match name {
        "REQ" => (Op::Request, true),
        "REQ_WITHOUT_QUERY" => (Op::RequestWithoutQuery, true),
        "RESP" => (Op::Response, false),
        _ => return None,
    };
    let Some(names) = argument.filter(|argument| !argument.is_empty()) else {
        return Some(Err(format!("`%{name}%` needs a header's name")));
    };
    let mut names = names.splitn(2, '?').map(|name| self::name(name, request));
    let first = names.next()?;
    Some(first.and_then(|first| {
        let max_length = max_length.unwrap_or(usize::MAX);
        Ok(make(Header { name: first, alternative: names.next().transpose()?, max_length }))
    }))
}

fn name(text: &str, request: bool) -> Result<Name, String> {
    let lower = text.to_ascii_lowercase();
    match (lower.as_str(), request) {
        (":method", true) => Ok(Name::Method),
        (":path", true) => Ok(Name::Path),
        (":authority" | "host", true) => Ok(Name::Authority),
        (":scheme", true) => Ok(Name::Scheme),
        (":status", false) => Ok(Name::Status),
        (other, _) => other.parse().map(Name::Header).map_err(|_| format!("`{text}` is no header's name")),
    }
}
