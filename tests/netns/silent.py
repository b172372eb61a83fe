"""Clients that connect and then say little or nothing. Tells when the server is done with each.

silent.py HOST:PORT

Prints a line when all are connected, then one for each that the server closes: its kind, and the milliseconds of the
wall clock.
"""

import socket
import ssl
import sys
import threading
import time

H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
# What each offers by ALPN, None without TLS, and what it says.
KINDS = {
    "tcp": (None, b""),
    "tls": ([], b""),
    "h2-alpn": (["h2"], b""),
    "h2-preface": (["h2"], H2),
    "h1-alpn": (["http/1.1"], b""),
    "h1-half-a-head": ([], b"GET / HTTP/1.1\r\n"),
    "h1-kept-alive": ([], b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
}


def connect(target, alpn, words):
    host, port = target.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
    if alpn is None:
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    connection = context.wrap_socket(connection)
    connection.sendall(words)
    return connection


def wait(kind, connection):
    try:
        while connection.recv(4096):
            pass
    except OSError:
        pass
    print(kind, int(time.time() * 1000), flush=True)


connections = {kind: connect(sys.argv[1], *how) for kind, how in KINDS.items()}
print("connected", len(connections), flush=True)
for kind, connection in connections.items():
    threading.Thread(target=wait, args=(kind, connection)).start()
