//! The binary without descriptors to spare: who is connected is served, who comes is sent away, and nothing spins.
#![cfg(test)]
#![cfg(target_os = "linux")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

const CONFIG: &str = "
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: PORT}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          route_config: {virtual_hosts: [{name: none, domains: ['*'], routes: []}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
";

/// The binary under a limit on its descriptors. It ends with this value.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Proxy {
    fn start(descriptors: usize) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = CONFIG.replace("PORT", &address.port().to_string());
        let limited = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        let child = Command::new("sh")
            .args(["-c", &limited, env!("CARGO_BIN_EXE_meshlib"), "--concurrency", "1", "-l", "off", "--config-yaml"])
            .arg(config)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Self { child, address };
        proxy.answers_soon();
        proxy
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    /// A new connection is served, after a while.
    fn answers_soon(&self) {
        let limit = Instant::now() + Duration::from_secs(20);
        while !TcpStream::connect(self.address).is_ok_and(|stream| is_served(&stream)) {
            assert!(Instant::now() < limit, "it never answered");
            std::thread::yield_now();
        }
    }

    fn of_proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(self.of_proc("fd")).unwrap().count()
    }

    /// User and system time so far, in ticks of 10 ms: the 14th and 15th field of proc(5)'s `stat`.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(self.of_proc("stat")).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a request gets the 404 of a proxy without routes, which has no body.
fn is_served(mut stream: &TcpStream) -> bool {
    let mut answer = Vec::new();
    let mut byte = [0];
    let mut asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: any\r\n\r\n").is_ok();
    while asked && !answer.ends_with(b"\r\n\r\n") {
        asked = stream.read_exact(&mut byte).is_ok();
        answer.extend(byte);
    }
    asked && answer.starts_with(b"HTTP/1.1 404")
}

/// Whether the proxy closed it, waiting for that a little.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn whom_no_descriptor_is_left_for_is_sent_away_and_the_rest_is_served() {
    // The limit on connections is half of the descriptors: it does not help when the process itself needs the others.
    let own = Proxy::start(256).descriptors();
    let proxy = Proxy::start(own + 4);
    let (begin, ticks) = (Instant::now(), proxy.ticks());
    let first = proxy.connect();
    assert!(is_served(&first));
    let others: Vec<_> = (0..20).map(|_| proxy.connect()).collect();
    let closed = others.iter().filter(|stream| is_closed(stream)).count();
    assert!(closed >= 10, "{closed} of 20 closed");
    let spent = Duration::from_millis((proxy.ticks() - ticks) * 10);
    assert!(spent < begin.elapsed() / 5, "{spent:?} of CPU time in {:?}", begin.elapsed());
    assert!(is_served(&first), "who is connected stays");
    drop(others);
    proxy.answers_soon();
}
