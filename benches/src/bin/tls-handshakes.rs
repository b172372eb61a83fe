//! A client that makes TLS 1.3 connections one after the other on each of its threads, with one small request over each,
//! so that a proxy's CPU time for a handshake can be measured beside it.
//!
//! ```text
//! cargo run --release -p meshlib-benches --bin tls-handshakes -- 127.0.0.1:9001 ca.pem full 1000 4
//! ```
//!
//! The arguments: the address, the certificates to trust, `full` or `resumed`, the number of connections, the threads.
//! Connects once for each thread, prints `ready`, waits for a line, makes the connections, and prints `done`. Ends with 1
//! if a connection failed, a handshake was not of the kind asked for, or an answer was not 200.

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, NamedGroup, RootCertStore, StreamOwned,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::TLS13,
};

/// What threads hand to one another.
type BoxError = Box<dyn Error + Send + Sync>;

/// Answered by the proxies themselves, so that no host has a share in it.
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-envoy-livenessprobe: healthz\r\n\r\n";
/// No answer's head is longer.
const MOST: usize = 4096;

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, trusted, kind, connections, threads] = arguments.as_slice() else {
        return Err("arguments: ADDRESS CA-FILE full|resumed CONNECTIONS THREADS".into());
    };
    let resumed = match kind.as_str() {
        "full" => false,
        "resumed" => true,
        _ => return Err(format!("{kind:?} is neither full nor resumed").into()),
    };
    let (address, connections, threads): (SocketAddr, u32, u32) =
        (address.parse()?, connections.parse()?, threads.parse()?);
    let config = config(trusted.as_ref())?;
    let shares = (0..threads).map(|thread| (thread..connections).step_by(threads as usize).count());
    let clients: Vec<_> = shares.map(|share| (share, with_store(config.clone(), resumed))).collect();
    for (_, config) in &clients {
        connect(address, config.clone())?;
    }
    writeln!(std::io::stdout(), "ready")?;
    std::io::stdin().read_line(&mut String::new())?;
    let threads: Vec<_> = clients
        .into_iter()
        .map(|(share, config)| std::thread::spawn(move || connect_all(address, &config, share, resumed)))
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(writeln!(std::io::stdout(), "done")?)
}

/// TLS 1.3 with one cipher suite and one group, so that every server does the same work.
fn config(trusted: &Path) -> Result<ClientConfig, BoxError> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trusted)? {
        roots.add(certificate?)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[&TLS13])?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Each thread has tickets of its own, so that none takes another's.
fn with_store(mut config: ClientConfig, resumed: bool) -> Arc<ClientConfig> {
    config.resumption = if resumed { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
    Arc::new(config)
}

fn connect_all(address: SocketAddr, config: &Arc<ClientConfig>, times: usize, resumed: bool) -> Result<(), BoxError> {
    let expected = if resumed { HandshakeKind::Resumed } else { HandshakeKind::Full };
    for _ in 0..times {
        let kind = connect(address, config.clone())?;
        if kind != expected {
            return Err(format!("a handshake was {kind:?} instead of {expected:?}").into());
        }
    }
    Ok(())
}

fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Result<HandshakeKind, BoxError> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let connection = ClientConnection::new(config, ServerName::try_from("localhost")?)?;
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(REQUEST)?;
    let answer = read_head(&mut stream)?;
    if !answer.starts_with("http/1.1 200 ") || !answer.contains("\r\ncontent-length: 0\r\n") {
        return Err(format!("the answer was {answer:?}").into());
    }
    stream.conn.handshake_kind().ok_or_else(|| "no handshake".into())
}

/// An answer's head in small letters. The connection is then closed from here: some servers would wait for that.
fn read_head(stream: &mut impl Read) -> Result<String, BoxError> {
    let (mut answer, mut piece) = (String::new(), [0; 1024]);
    while !answer.ends_with("\r\n\r\n") && answer.len() < MOST {
        let length = stream.read(&mut piece)?;
        if length == 0 {
            return Err(format!("the connection ended after {answer:?}").into());
        }
        answer.push_str(&String::from_utf8_lossy(piece.get(..length).unwrap_or(&[])).to_ascii_lowercase());
    }
    Ok(answer)
}
