//! The commands with which to go on.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::Terminal;

/// Where a listener is reached from this machine: loopback where it listens on every address.
pub fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// Prints how to call the echo application behind a proxy at `url`, by [`call`](crate::client) and by grpcurl.
///
/// # Errors
/// Those of the output.
pub fn print_calls<W: Write>(terminal: &mut Terminal<W>, url: &str) -> io::Result<()> {
    let (flag, address) = match url.split_once("://") {
        Some(("https", address)) => ("-insecure", address),
        Some((_, address)) => ("-plaintext", address),
        None => ("-plaintext", url),
    };
    terminal.line(&format!("cargo run --example call -- {url} hello"))?;
    terminal.line(&format!(
        "grpcurl -d '{{\"content\":\"hello\"}}' -import-path examples/proto -proto echo.proto {flag} -v {address} \
         api.Echo/Echo"
    ))
}

/// Prints how to ask a proxy at `url` whether it is well, and its admin interface what it does.
///
/// # Errors
/// Those of the output.
pub fn print_looks<W: Write>(terminal: &mut Terminal<W>, url: &str, admin: Option<SocketAddr>) -> io::Result<()> {
    terminal.line(&format!("curl -k -i -H 'x-envoy-livenessprobe: healthz' {url}/healthz"))?;
    if let Some(admin) = admin.map(reachable) {
        terminal.line(&format!("curl http://{admin}/clusters"))?;
        terminal.line(&format!("curl http://{admin}/stats/prometheus"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Terminal<Vec<u8>>) -> io::Result<()>) -> String {
        let mut terminal = Terminal::plain(Vec::new());
        print(&mut terminal).unwrap();
        String::from_utf8(terminal.into_inner()).unwrap()
    }

    #[test]
    fn calls_are_for_the_urls_scheme() {
        let tls = printed(|terminal| print_calls(terminal, "https://127.0.0.1:8443"));
        assert!(tls.contains(" -insecure -v 127.0.0.1:8443 api.Echo/Echo\n"), "{tls}");
        let plain = printed(|terminal| print_calls(terminal, "http://[::1]:8786"));
        assert!(plain.contains(" -plaintext -v [::1]:8786 api.Echo/Echo\n"), "{plain}");
        assert!(plain.starts_with("cargo run --example call -- http://[::1]:8786 hello\n"), "{plain}");
    }

    #[test]
    fn listeners_on_all_addresses_are_reached_by_loopback() {
        for (listener, expected) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("192.0.2.1:80", "192.0.2.1:80")]
        {
            assert_eq!(reachable(listener.parse().unwrap()).to_string(), expected);
        }
        let looks = printed(|terminal| print_looks(terminal, "http://[::1]:1", Some("0.0.0.0:8090".parse().unwrap())));
        assert!(looks.ends_with("curl http://127.0.0.1:8090/stats/prometheus\n"), "{looks}");
    }
}
