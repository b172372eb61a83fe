use super::*;

use hickory_server::proto::op::{Message, MessageType, OpCode, Query};
use hickory_server::proto::rr::DNSClass;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn question(name: &str, kind: RecordType, edns: Option<u16>) -> Vec<u8> {
    let mut query = Query::query(Name::from_utf8(name).unwrap(), kind);
    query.set_query_class(DNSClass::IN);
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(query);
    message.edns = edns.map(|size| {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        edns
    });
    message.to_vec().unwrap()
}

async fn ask_with(dns: &DnsServer, name: &str, kind: RecordType, edns: Option<u16>) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(dns.address()).await.unwrap();
    socket.send(&question(name, kind, edns)).await.unwrap();
    let mut answer = vec![0; 65_535];
    let length = socket.recv(&mut answer).await.unwrap();
    Message::from_vec(&answer[..length]).unwrap()
}

async fn ask(dns: &DnsServer, name: &str, kind: RecordType) -> Message {
    ask_with(dns, name, kind, None).await
}

fn addresses(message: &Message) -> Vec<IpAddr> {
    message.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
}

#[tokio::test]
async fn answers_follow_the_zone() {
    let dns = DnsServer::start().await.unwrap();
    let first: IpAddr = "127.0.0.11".parse().unwrap();
    let second: IpAddr = "::1".parse().unwrap();
    dns.set_ttl(7);
    dns.set("Echo.Example.", [first, second]);

    let answer = ask(&dns, "echo.example.", RecordType::A).await;
    assert_eq!((answer.metadata.id, answer.metadata.response_code), (4711, ResponseCode::NoError));
    assert!(answer.metadata.authoritative);
    assert_eq!(addresses(&answer), [first]);
    assert_eq!(answer.answers[0].ttl, 7);
    assert_eq!(addresses(&ask(&dns, "echo.example.", RecordType::AAAA).await), [second]);

    dns.set("echo.example", [second]);
    let none = ask(&dns, "echo.example.", RecordType::A).await;
    assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(none.authorities.len(), 1);

    dns.remove("echo.example");
    assert_eq!(ask(&dns, "echo.example.", RecordType::A).await.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(dns.questions(), 4);
    let asked = Question { name: "echo.example".into(), kind: "AAAA".into() };
    assert_eq!(dns.last_questions()[1], asked);
}

#[tokio::test]
async fn failures_override_the_zone() {
    let dns = DnsServer::start().await.unwrap();
    dns.set("echo.example", [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    dns.set_mode(Mode::ServFail);
    assert_eq!(ask(&dns, "echo.example.", RecordType::A).await.metadata.response_code, ResponseCode::ServFail);
    dns.set_mode(Mode::NxDomain);
    assert_eq!(ask(&dns, "echo.example.", RecordType::A).await.metadata.response_code, ResponseCode::NXDomain);
    dns.set_mode(Mode::Answer);
    assert_eq!(addresses(&ask(&dns, "echo.example.", RecordType::A).await).len(), 1);
}

#[tokio::test]
async fn silence_is_no_answer_at_all() {
    let dns = DnsServer::start().await.unwrap();
    dns.set("echo.example", [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    dns.set_mode(Mode::Silence);
    let mut handler = Zone { mode: Mode::Silence, ..Zone::default() };
    assert!(handler.answer(&Name::from_utf8("echo.example.").unwrap(), RecordType::A).is_none());

    // The same socket asks in silence and then loudly: the only answer is to the second question.
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(dns.address()).await.unwrap();
    socket.send(&question("silent.example.", RecordType::A, None)).await.unwrap();
    while dns.questions() == 0 {
        tokio::task::yield_now().await;
    }
    dns.set_mode(Mode::Answer);
    socket.send(&question("echo.example.", RecordType::A, None)).await.unwrap();
    let mut answer = vec![0; 512];
    let length = socket.recv(&mut answer).await.unwrap();
    assert_eq!(addresses(&Message::from_vec(&answer[..length]).unwrap()).len(), 1);
}

#[tokio::test]
async fn a_long_answer_is_cut_over_udp_and_whole_over_tcp() {
    let dns = DnsServer::start().await.unwrap();
    let all: Vec<IpAddr> = (1..=100).map(|host| IpAddr::V4(Ipv4Addr::new(127, 0, 1, host))).collect();
    dns.set("echo.example", all.clone());

    let cut = ask(&dns, "echo.example.", RecordType::A).await;
    assert!(cut.metadata.truncation);
    assert!(cut.answers.len() < 100);
    let large = ask_with(&dns, "echo.example.", RecordType::A, Some(4096)).await;
    assert!(!large.metadata.truncation);
    assert_eq!(addresses(&large), all);

    let mut stream = TcpStream::connect(dns.address()).await.unwrap();
    let question = question("echo.example.", RecordType::A, None);
    stream.write_u16(question.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&question).await.unwrap();
    let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(addresses(&Message::from_vec(&answer).unwrap()), all);
    drop(stream);
    dns.stop().await.unwrap();
}
