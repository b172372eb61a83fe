"""Free ports of the loopback interface."""

import random
import socket
import time

from failure import Failure

given = set()


def free():
    """A port nobody listens at, below those that the system gives to outgoing connections."""
    for _ in range(1000):
        port = random.randrange(10000, 32000)
        if port in given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        given.add(port)
        return port
    raise Failure("no port is free")


def wait_until_open(process, ports, seconds=20):
    """Until something listens at each of them."""
    end = time.monotonic() + seconds
    for port in ports:
        while True:
            process.must_live()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise Failure(f"{process.name} does not listen at {port}") from None
                time.sleep(0.02)
