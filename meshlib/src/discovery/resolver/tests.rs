//! A DNS server that answers by a script, over real sockets: hickory, UDP and TCP are what is tested.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use hickory_resolver::{
    proto::{
        op::Message,
        rr::{
            RData, Record,
            rdata::{A, CNAME},
        },
    },
    system_conf::parse_resolv_conf,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};

use super::*;

const V4: AddressFamily = AddressFamily::V4;
const V6: AddressFamily = AddressFamily::V6;

#[derive(Clone, Debug, PartialEq)]
struct Asked {
    name: String,
    family: RecordType,
    tcp: bool,
    edns: bool,
}

/// Knows `echo.test.`, `many.test.` and some that do not work.
#[derive(Clone, Default)]
struct Server {
    asked: Arc<Mutex<Vec<Asked>>>,
    dead: Arc<AtomicBool>,
}

impl Server {
    async fn start() -> (Self, SocketAddr) {
        let this = Self::default();
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            // The port may be taken for UDP; then another one.
            let Ok(socket) = UdpSocket::bind(address).await else { continue };
            tokio::spawn(this.clone().udp(socket));
            tokio::spawn(this.clone().tcp(listener));
            return (this, address);
        }
    }

    async fn udp(self, socket: UdpSocket) {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = self.answer(&buffer[..length], false) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    }

    async fn tcp(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().stream(stream));
        }
    }

    async fn stream(self, mut stream: TcpStream) {
        while let Ok(length) = stream.read_u16().await {
            let mut question = vec![0; length.into()];
            stream.read_exact(&mut question).await.unwrap();
            if let Some(answer) = self.answer(&question, true) {
                stream.write_u16(answer.len() as u16).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    }

    fn answer(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).unwrap();
        let query = question.queries[0].clone();
        let name = query.name().to_string();
        let (family, edns) = (query.query_type(), question.edns.is_some());
        self.asked.lock().unwrap().push(Asked { name: name.clone(), family, tcp, edns });
        if self.dead.load(Ordering::Relaxed) {
            return None;
        }
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        let a = |owner: &Name, ttl, last| {
            Record::from_rdata(owner.clone(), ttl, RData::A(A(Ipv4Addr::new(10, 0, 0, last))))
        };
        match (name.as_str(), family) {
            ("echo.test.", RecordType::A) => {
                answer.add_answers([a(query.name(), 30, 1), a(query.name(), 20, 2)]);
            }
            ("alias.test.", RecordType::A) => {
                let target = Name::from_ascii("echo.test.").unwrap();
                answer.add_answer(Record::from_rdata(query.name().clone(), 5, RData::CNAME(CNAME(target.clone()))));
                answer.add_answer(a(&target, 30, 1));
            }
            ("many.test.", RecordType::A) if tcp => {
                answer.add_answers((1..=200).map(|last| a(query.name(), 30, last)));
            }
            ("many.test.", RecordType::A) => answer.metadata.truncation = true,
            ("echo.test." | "alias.test." | "many.test.", _) => {}
            ("broken.test.", _) => answer.metadata.response_code = ResponseCode::ServFail,
            ("refused.test.", _) => answer.metadata.response_code = ResponseCode::Refused,
            _ => answer.metadata.response_code = ResponseCode::NXDomain,
        }
        answer.add_query(query);
        Some(answer.to_vec().unwrap())
    }

    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn names(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.name).collect()
    }
}

fn found(answer: io::Result<DnsAnswer>) -> (usize, u64) {
    match answer.unwrap() {
        DnsAnswer::Addresses { addresses, ttl } => (addresses.len(), ttl.as_secs()),
        DnsAnswer::NoSuchName => panic!("no such name"),
    }
}

#[tokio::test]
async fn answers_and_failures_are_told_apart() {
    let (server, address) = Server::start().await;
    let resolver = SystemResolver::with_server(address);
    assert_eq!(found(resolver.resolve("echo.test", V4).await), (2, 20));
    let asked = Asked { name: "echo.test.".into(), family: RecordType::A, tcp: false, edns: true };
    assert_eq!(server.asked(), [asked], "one question, as it is written, with EDNS0");
    assert_eq!(found(resolver.resolve("echo.test", V6).await).0, 0);
    assert_eq!(found(resolver.resolve("alias.test", V4).await), (1, 5), "the alias' TTL counts");
    assert_eq!(resolver.resolve("none.test", V4).await.unwrap(), DnsAnswer::NoSuchName);
    server.asked();
    for name in ["broken.test", "refused.test"] {
        resolver.resolve(name, V4).await.unwrap_err();
        assert_eq!(server.asked().len(), 1, "a failure is not asked for again: {name}");
    }
    let invalid = resolver.resolve("not..a.name", V4).await.unwrap_err();
    assert_eq!(invalid.kind(), io::ErrorKind::InvalidInput);
    found(resolver.resolve("echo.test", V4).await);
    found(resolver.resolve("echo.test", V4).await);
    assert_eq!(server.asked().len(), 2, "nothing is cached");
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let (server, address) = Server::start().await;
    assert_eq!(found(SystemResolver::with_server(address).resolve("many.test", V4).await).0, 200);
    assert_eq!(server.asked().into_iter().map(|asked| asked.tcp).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn an_address_needs_no_server() {
    let resolver = SystemResolver::with_server(([127, 0, 0, 1], 1).into());
    assert_eq!(found(resolver.resolve("10.0.0.1", V4).await).0, 1);
    assert_eq!(found(resolver.resolve("10.0.0.1", V6).await).0, 0);
    assert_eq!(found(resolver.resolve("::1", V6).await).0, 1);
}

/// The clock is paused while the server is silent, so that waiting for it takes no time.
#[tokio::test(start_paused = true)]
async fn a_dead_server_is_a_timeout_and_may_come_back() {
    let (server, address) = Server::start().await;
    let resolver = SystemResolver::with_server(address);
    server.dead.store(true, Ordering::Relaxed);
    let begin = tokio::time::Instant::now();
    let error = resolver.resolve("echo.test", V4).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(begin.elapsed().as_secs(), 2);
    server.dead.store(false, Ordering::Relaxed);
    tokio::time::resume();
    assert_eq!(found(resolver.resolve("echo.test", V4).await).0, 2);
}

#[test]
fn it_is_made_without_a_runtime_and_used_on_several() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_, address) = serving.block_on(Server::start());
    let resolver = SystemResolver::with_server(address);
    for _ in 0..2 {
        assert_eq!(found(runtime().block_on(resolver.resolve("many.test", V4))).0, 200);
    }
}

/// The system's way, with the server's port put in.
fn question(resolv_conf: &str, server: SocketAddr) -> Question {
    let (config, options) = parse_resolv_conf(resolv_conf).unwrap();
    let (domain, search, _) = config.into_parts();
    let (_, _, servers) = one_server(server).0.into_parts();
    Question::new(ResolverConfig::from_parts(domain, search, servers), options).unwrap()
}

#[tokio::test]
async fn the_search_list_is_tried_in_order() {
    let (server, address) = Server::start().await;
    let kubernetes = "nameserver 127.0.0.1\nsearch a.test svc.test test\noptions ndots:5\n";
    let question = question(kubernetes, address);
    assert_eq!(found(question.ask("echo", V4).await).0, 2);
    assert_eq!(server.names(), ["echo.a.test.", "echo.svc.test.", "echo.test."]);
    assert_eq!(found(question.ask("echo.test", V4).await).0, 2);
    assert_eq!(server.names(), ["echo.test.a.test.", "echo.test.svc.test.", "echo.test.test.", "echo.test."]);
    assert_eq!(found(question.ask("echo.test.", V4).await).0, 2);
    assert_eq!(server.names(), ["echo.test."], "a final dot ends the search");
    assert_eq!(question.ask("none", V4).await.unwrap(), DnsAnswer::NoSuchName);
    assert_eq!(server.names().len(), 4);
}

#[tokio::test]
async fn a_failed_name_is_not_overlooked_for_one_that_does_not_exist() {
    let (server, address) = Server::start().await;
    let question = question("nameserver 127.0.0.1\nsearch a.test\n", address);
    question.ask("broken.test", V4).await.unwrap_err();
    assert_eq!(server.names(), ["broken.test.", "broken.test.a.test."]);
    assert_eq!(found(question.ask("echo.test", V6).await).0, 0, "no addresses weighs more than no such name");
}
