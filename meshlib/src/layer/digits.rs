//! Numbers and addresses as text: a log line has a dozen of them, and `core::fmt` costs several times as much.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use bytes::{BufMut, BytesMut};

/// As many as the largest number has.
const MOST: usize = 20;

/// Appends a number.
pub(super) fn push(line: &mut BytesMut, number: u64) {
    push_padded(line, number, 1);
}

/// Appends a number of at least `width` digits, 20 at most.
pub(super) fn push_padded(line: &mut BytesMut, mut number: u64, width: usize) {
    if number < 10 && width <= 1 {
        return line.put_u8(b'0' + number as u8);
    }
    if number < 100 && width == 2 {
        return line.put_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
    }
    let mut digits = [b'0'; MOST];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    line.put_slice(digits.get(MOST - length.max(width.min(MOST))..).unwrap_or_default());
}

/// Appends `ip:port`, or `[ip]:port`.
pub(super) fn push_address(line: &mut BytesMut, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            push_ipv4(line, ip);
            line.put_u8(b':');
            push(line, address.port().into());
        }
        IpAddr::V6(_) => {
            // Writing to the buffer does not fail: it grows.
            let _ = write!(line, "{address}");
        }
    }
}

/// Appends an address without a port.
pub(super) fn push_ip(line: &mut BytesMut, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => push_ipv4(line, ip),
        IpAddr::V6(ip) => {
            let _ = write!(line, "{ip}");
        }
    }
}

fn push_ipv4(line: &mut BytesMut, ip: Ipv4Addr) {
    // Together on the stack first: each append to the line looks for room.
    let (mut text, mut length) = ([0; 16], 0);
    let mut put = |byte| {
        if let Some(slot) = text.get_mut(length) {
            *slot = byte;
            length += 1;
        }
    };
    for octet in ip.octets() {
        if octet >= 100 {
            put(b'0' + octet / 100);
        }
        if octet >= 10 {
            put(b'0' + octet / 10 % 10);
        }
        put(b'0' + octet % 10);
        put(b'.');
    }
    line.put_slice(text.get(..length.saturating_sub(1)).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut BytesMut)) -> String {
        let mut line = BytesMut::new();
        push(&mut line);
        String::from_utf8(line.to_vec()).unwrap()
    }

    #[test]
    fn numbers_as_core_writes_them() {
        for number in [0, 7, 9, 10, 11, 99, 100, 65_535, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            assert_eq!(text(|line| push(line, number)), number.to_string());
            assert_eq!(text(|line| push_padded(line, number, 2)), format!("{number:02}"));
            assert_eq!(text(|line| push_padded(line, number, 3)), format!("{number:03}"));
        }
        assert_eq!(text(|line| push_padded(line, 7, 99)).len(), MOST);
    }

    #[test]
    fn addresses_as_core_writes_them() {
        for address in
            ["1.20.255.0:8080", "0.0.0.0:0", "255.255.255.255:65535", "100.99.10.9:1", "[::1]:443", "[2001:db8::7]:1"]
        {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(text(|line| push_address(line, address)), address.to_string());
            assert_eq!(text(|line| push_ip(line, address.ip())), address.ip().to_string());
        }
    }
}
