//! What to tell a person when listening failed, and what can be done about it.

use std::{io, net::SocketAddr};

use crate::base::{Error, ErrorKind};

/// Ports below need a privilege, unless `net.ipv4.ip_unprivileged_port_start` says otherwise.
const PRIVILEGED: u16 = 1024;

/// Why nobody can listen on `address`, with remedies.
pub(super) fn explain(address: SocketAddr, error: &io::Error) -> Error {
    let mut detail = format!("cannot listen on {address}: {error}");
    if let Some(remedy) = remedy(address, error.kind()) {
        detail.push_str("\n  ");
        detail.push_str(&remedy);
    }
    Error::new(ErrorKind::Io).with_detail(detail)
}

fn remedy(address: SocketAddr, kind: io::ErrorKind) -> Option<String> {
    let (ip, port) = (address.ip(), address.port());
    Some(match kind {
        io::ErrorKind::AddrInUse => format!(
            "Another process, or another listener of this one, has this address. `ss -ltnp 'sport = :{port}'` names it; \
             stop it, or configure another port. Containers of one pod share their ports."
        ),
        io::ErrorKind::PermissionDenied if port < PRIVILEGED => format!(
            "Ports below {PRIVILEGED} need a privilege. One of these helps:\n  \
             - give the process CAP_NET_BIND_SERVICE: `setcap cap_net_bind_service=+ep` on the binary, or \
             securityContext.capabilities.add: [NET_BIND_SERVICE] in Kubernetes;\n  \
             - lower the first port that needs none: `sysctl net.ipv4.ip_unprivileged_port_start={port}`, or the same \
             under securityContext.sysctls of the pod;\n  \
             - listen on another port, {} for example, and let the Service's targetPort lead to it.",
            8000_u16.saturating_add(port)
        ),
        io::ErrorKind::PermissionDenied => {
            "A security policy (SELinux, seccomp, a sandbox) forbids it: the port itself needs no privilege.".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "No interface of this host has the address {ip}. Configure one that `ip address` lists, or 0.0.0.0 for all \
             of them."
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(address: &str, kind: io::ErrorKind) -> String {
        explain(address.parse().unwrap(), &kind.into()).to_string()
    }

    #[test]
    fn a_missing_privilege_names_its_three_remedies() {
        let text = text("0.0.0.0:443", io::ErrorKind::PermissionDenied);
        assert!(text.starts_with("cannot listen on 0.0.0.0:443: "), "{text}");
        for remedy in ["CAP_NET_BIND_SERVICE", "sysctl net.ipv4.ip_unprivileged_port_start=443", "8443", "targetPort"] {
            assert!(text.contains(remedy), "{remedy} is not in {text}");
        }
    }

    #[test]
    fn other_reasons_have_other_remedies() {
        assert!(!text("0.0.0.0:8443", io::ErrorKind::PermissionDenied).contains("CAP_NET"));
        assert!(text("192.0.2.1:80", io::ErrorKind::AddrNotAvailable).contains("address 192.0.2.1."));
        assert!(text("[::1]:80", io::ErrorKind::AddrInUse).contains("sport = :80"));
        assert_eq!(text("[::1]:80", io::ErrorKind::OutOfMemory).lines().count(), 1);
    }
}
