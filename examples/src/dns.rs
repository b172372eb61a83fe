//! An authoritative name server in-process, whose answers can be changed while it runs.
//!
//! It answers A and AAAA questions from a map of names, over UDP and TCP on one loopback port, as CoreDNS does for a
//! headless service: one record for each ready pod.
//!
//! ```
//! use meshlib_examples::dns::{DnsServer, Mode};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let dns = DnsServer::start().await?;
//! dns.set("echo.example", ["127.0.0.11".parse().unwrap(), "127.0.0.12".parse().unwrap()]);
//! println!("ask {}", dns.address());
//! dns.set_mode(Mode::ServFail); // as if the name server had lost its database
//! # Ok(())
//! # }
//! ```

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Edns, Header, HeaderCounts, Metadata, ResponseCode};
use hickory_server::proto::rr::rdata::SOA;
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

/// How long a TCP connection may stay without a question.
const TCP_IDLE: Duration = Duration::from_secs(30);
/// How many answers may wait to be written to one TCP connection.
const TCP_ANSWERS: usize = 32;
/// How many ports are tried until one is free for both UDP and TCP.
const PORT_TRIES: usize = 20;
/// How many questions are remembered.
const MAX_REMEMBERED: usize = 4096;
const DEFAULT_TTL_SECONDS: u32 = 5;

/// What the server does with a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Answers from the zone. A name that is not there is NXDOMAIN; a name without addresses of the family that was
    /// asked for is NOERROR without records.
    #[default]
    Answer,
    /// NXDOMAIN, whatever the zone says.
    NxDomain,
    /// SERVFAIL.
    ServFail,
    /// No answer at all: the resolver runs into its timeout.
    Silence,
}

/// A question that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, in lower case, without the last dot.
    pub name: String,
    /// The type of record: `A`, `AAAA`, ...
    pub kind: String,
}

/// A running name server. Dropping it ends it.
pub struct DnsServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    server: Server<Handler>,
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsServer").field("address", &self.address).field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl DnsServer {
    /// Starts a server with an empty zone on 127.0.0.1, on the current runtime.
    ///
    /// # Errors
    /// When no port is free for both UDP and TCP.
    pub async fn start() -> io::Result<Self> {
        let (udp, tcp) = bind().await?;
        let address = udp.local_addr()?;
        let zone = Arc::new(Mutex::new(Zone::default()));
        let mut server = Server::new(Handler { zone: Arc::clone(&zone) });
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS);
        Ok(Self { address, zone, server })
    }

    /// Where it answers, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The addresses of a name from now on, in this order. No addresses: the name exists and has none.
    pub fn set(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        lock(&self.zone).names.insert(normal(name), addresses.into_iter().collect());
    }

    /// Takes a name away: NXDOMAIN from now on.
    pub fn remove(&self, name: &str) {
        lock(&self.zone).names.remove(&normal(name));
    }

    /// How long answers may be kept, in seconds. Default 5, as CoreDNS in Kubernetes.
    pub fn set_ttl(&self, seconds: u32) {
        lock(&self.zone).ttl = seconds;
    }

    /// What is done with every question from now on. Default [`Mode::Answer`].
    pub fn set_mode(&self, mode: Mode) {
        lock(&self.zone).mode = mode;
    }

    /// How many questions have come since the start.
    pub fn questions(&self) -> u64 {
        lock(&self.zone).questions
    }

    /// The last questions, oldest first; at most 4096.
    pub fn last_questions(&self) -> Vec<Question> {
        lock(&self.zone).last.iter().cloned().collect()
    }

    /// Ends it and closes its port.
    ///
    /// # Errors
    /// When a socket had failed before.
    pub async fn stop(mut self) -> io::Result<()> {
        self.server.shutdown_gracefully().await.map_err(io::Error::other)
    }
}

/// One port, for UDP and for TCP.
async fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = 1;
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < PORT_TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Nothing panics while it holds the lock, so a poisoned one is as good.
fn lock(zone: &Mutex<Zone>) -> MutexGuard<'_, Zone> {
    zone.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Zone {
    names: HashMap<String, Vec<IpAddr>>,
    ttl: u32,
    mode: Mode,
    questions: u64,
    last: VecDeque<Question>,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            names: HashMap::new(),
            ttl: DEFAULT_TTL_SECONDS,
            mode: Mode::default(),
            questions: 0,
            last: VecDeque::new(),
        }
    }
}

impl Zone {
    fn remember(&mut self, name: &str, kind: RecordType) {
        self.questions += 1;
        if self.last.len() == MAX_REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(Question { name: name.to_owned(), kind: kind.to_string() });
    }

    /// The answer to one question, or `None` for silence.
    fn answer(&mut self, name: &Name, kind: RecordType) -> Option<Answer> {
        let key = normal(&name.to_string());
        self.remember(&key, kind);
        let refuse = |code| Answer { code, records: Vec::new(), authority: Some(authority(name, self.ttl)) };
        match (self.mode, self.names.get(&key)) {
            (Mode::Silence, _) => None,
            (Mode::ServFail, _) => Some(Answer { code: ResponseCode::ServFail, ..Answer::default() }),
            (Mode::NxDomain, _) | (Mode::Answer, None) => Some(refuse(ResponseCode::NXDomain)),
            (Mode::Answer, Some(addresses)) => {
                let records: Vec<_> = addresses.iter().filter_map(|ip| record(name, self.ttl, kind, *ip)).collect();
                if records.is_empty() {
                    return Some(refuse(ResponseCode::NoError));
                }
                Some(Answer { code: ResponseCode::NoError, records, authority: None })
            }
        }
    }
}

fn record(name: &Name, ttl: u32, kind: RecordType, address: IpAddr) -> Option<Record> {
    let data = match (kind, address) {
        (RecordType::A, IpAddr::V4(ip)) => RData::A(ip.into()),
        (RecordType::AAAA, IpAddr::V6(ip)) => RData::AAAA(ip.into()),
        _ => return None,
    };
    Some(Record::from_rdata(name.clone(), ttl, data))
}

/// The SOA record of a negative answer: how long it may be kept (RFC 2308).
fn authority(name: &Name, ttl: u32) -> Record {
    let zone = name.base_name();
    let data = SOA::new(zone.clone(), zone.clone(), 1, 3600, 600, 86_400, ttl);
    Record::from_rdata(zone, ttl, RData::SOA(data))
}

#[derive(Default)]
struct Answer {
    code: ResponseCode,
    records: Vec<Record>,
    authority: Option<Record>,
}

struct Handler {
    zone: Arc<Mutex<Zone>>,
}

#[tonic::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut respond: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        let answer = match request.request_info() {
            Ok(info) => lock(&self.zone).answer(info.query.original().name(), info.query.query_type()),
            Err(_) => Some(Answer { code: ResponseCode::FormErr, ..Answer::default() }),
        };
        let Some(answer) = answer else { return info(metadata) };
        metadata.response_code = answer.code;
        let edns = request.edns.as_ref().map(|_| {
            let mut edns = Edns::new();
            edns.set_max_payload(request.max_payload());
            edns
        });
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let response = builder.build(metadata, &answer.records, &[], &answer.authority, &[]);
        match respond.send_response(response).await {
            Ok(info) => info,
            // The peer has gone: there is nobody to tell.
            Err(_) => info(metadata),
        }
    }
}

fn info(metadata: Metadata) -> ResponseInfo {
    Header { metadata, counts: HeaderCounts::default() }.into()
}

#[cfg(test)]
mod tests;
