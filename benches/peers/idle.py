"""P6: memory when idle, and for each connection that had one request and is idle since."""

import socket
import struct
import time

from failure import Failure
from programs import say
from workloads import Workload

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
END_STREAM, ACK, END_HEADERS = 1, 1, 4
MESSAGE = b"\0\0\0\0\x06hello!"
HTTP1 = b"POST /h1/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%s" % (len(MESSAGE), MESSAGE)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """A header field that is not to be indexed."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


BLOCK = (b"\x83\x86" + literal(b":path", b"/api.Echo/Echo") + literal(b":authority", b"localhost")
         + literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers"))
HTTP2 = (PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, BLOCK)
         + frame(DATA, END_STREAM, 1, MESSAGE))


def exactly(connection, length):
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise Failure("a connection ended that should be idle")
        data += more
    return data


def ask_http2(connection):
    """One unary call, read to its end."""
    connection.sendall(HTTP2)
    status = None
    while True:
        head = exactly(connection, 9)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        payload = exactly(connection, int.from_bytes(head[:3], "big"))
        if kind in (SETTINGS, PING) and not flags & ACK:
            connection.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
        if kind == HEADERS and status is None:
            status = payload.lstrip(bytes(range(0x20, 0x40)))[:1]  # behind changes of the table's size
        if stream == 1 and kind in (DATA, HEADERS) and flags & END_STREAM:
            break
    if status != b"\x88":
        raise Failure(f"a call was not answered with 200 but with the field {status!r}")


def ask_http1(connection):
    connection.sendall(HTTP1)
    answer = b""
    while not answer.endswith(MESSAGE):
        more = connection.recv(4096)
        if not more:
            raise Failure(f"a connection ended with {answer!r}")
        answer += more
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise Failure(f"a request was answered with {answer!r}")


def open_idle(port, count, ask):
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), 10)
        connections.append(connection)
        ask(connection)
    return connections


def close(connections):
    for connection in connections:
        connection.close()


class Memory(Workload):
    def __init__(self, name, unit):
        super().__init__("P6", name, unit)


IDLE = Memory("idle", "MB resident")
BY_PROTOCOL = {"h2c": (Memory("per idle HTTP/2 connection", "KiB"), ask_http2),
               "http1": (Memory("per idle HTTP/1.1 connection", "KiB"), ask_http1)}


def measure_idle(targets, options, results):
    """Each target alone, started anew for each figure, so that what it kept of other work does not count."""
    count = 1000 if options.quick else 3000
    # Allocators give back what a second of calm has freed within ten seconds (jemalloc's decay).
    settle, idle = (0.6, 0.6) if options.quick else (2, 15)
    for number in range(max(1, options.rounds // 2)):
        say(f"memory, round {number + 1} of {max(1, options.rounds // 2)}")
        for target in targets:
            for listener, (workload, _) in BY_PROTOCOL.items():
                # The codec of HTTP/2 does not matter to HTTP/1.1.
                if listener == "http1" and target.name == "envoy nghttp2":
                    continue
                try:
                    _measure(target, listener, count, settle, idle, results)
                except (Failure, OSError) as failure:
                    raise Failure(f"{workload.title}, {target.name}: {failure}") from failure


def _measure(target, listener, count, settle, idle_for, results):
    """`settle`: seconds after which a proxy has given back what it gives back soon; `idle_for`: seconds for which the
    connections are idle."""
    workload, ask = BY_PROTOCOL[listener]
    running = target.start()
    try:
        time.sleep(settle)
        idle = running.memory()
        if listener == "h2c":
            results.add(IDLE, target.name, {"cost": idle / 1e6})
        close(open_idle(running.ports[listener], 20, ask))
        time.sleep(settle / 4)
        before = running.memory()
        connections = open_idle(running.ports[listener], count, ask)
        time.sleep(idle_for)
        after = running.memory()
        close(connections)
        results.add(workload, target.name, {"cost": (after - before) / 1024 / count, "memory": after})
    finally:
        running.end()
