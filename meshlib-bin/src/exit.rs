//! How the process ends: its exit codes, and what it says when it cannot start.

use std::{fmt, io, net::SocketAddr};

/// Why the process ends with code 1: the text for people, remedies included.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure that says this.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Something of the operating system's that did not work: `what` is a thing to do, such as "start a thread".
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        Self(format!("cannot {what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to tell a person when listening on `address` failed, and what can be done.
#[cfg_attr(not(test), expect(dead_code, reason = "for the start of the server, which is not attached yet"))]
pub(crate) fn explain_bind(address: SocketAddr, error: &io::Error) -> String {
    /// Ports below need a privilege, unless `net.ipv4.ip_unprivileged_port_start` says otherwise.
    const PRIVILEGED: u16 = 1024;
    let port = address.port();
    let begin = format!("cannot listen on {address}: {error}");
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{begin}\n  Another process, or another listener of this one, has this address. `ss -ltnp 'sport = :{port}'` \
             names it; stop it, or configure another port. Containers of one pod share their ports."
        ),
        io::ErrorKind::PermissionDenied if port < PRIVILEGED => format!(
            "{begin}\n  Ports below {PRIVILEGED} need a privilege. One of these helps:\n  \
             - give the process CAP_NET_BIND_SERVICE: `setcap cap_net_bind_service=+ep` on the binary, or \
             securityContext.capabilities.add: [NET_BIND_SERVICE] in Kubernetes;\n  \
             - lower the first port that needs none: `sysctl net.ipv4.ip_unprivileged_port_start={port}`, or the same \
             under securityContext.sysctls of the pod;\n  \
             - listen on another port, {} for example, and let the Service's targetPort lead to it.",
            8000_u16.saturating_add(port)
        ),
        io::ErrorKind::PermissionDenied => {
            format!(
                "{begin}\n  A security policy (SELinux, seccomp, a sandbox) forbids it: the port itself needs no privilege."
            )
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "{begin}\n  No interface of this host has the address {}. Configure one that `ip address` lists, or 0.0.0.0 \
             for all of them.",
            address.ip()
        ),
        _ => begin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(address: &str, kind: io::ErrorKind) -> String {
        explain_bind(address.parse().unwrap(), &kind.into())
    }

    #[test]
    fn a_missing_privilege_names_its_three_remedies() {
        let text = explain("0.0.0.0:443", io::ErrorKind::PermissionDenied);
        assert!(text.starts_with("cannot listen on 0.0.0.0:443: "), "{text}");
        for remedy in ["CAP_NET_BIND_SERVICE", "sysctl net.ipv4.ip_unprivileged_port_start=443", "8443", "targetPort"] {
            assert!(text.contains(remedy), "{remedy} is not in {text}");
        }
        assert!(!explain("0.0.0.0:8443", io::ErrorKind::PermissionDenied).contains("CAP_NET"));
    }

    #[test]
    fn a_real_conflict_is_explained() {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        let error = std::net::TcpListener::bind(address).unwrap_err();
        let text = explain_bind(address, &error);
        assert!(text.contains(&format!("sport = :{}", address.port())), "{text}");
        assert!(explain("192.0.2.1:80", io::ErrorKind::AddrNotAvailable).contains("address 192.0.2.1."));
        assert_eq!(explain("[::1]:80", io::ErrorKind::OutOfMemory).lines().count(), 1);
    }
}
