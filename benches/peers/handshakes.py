"""TLS handshakes by the bench's own client."""

import subprocess
import time

from failure import Failure


def handshakes(world, running, port, kind, count, threads, title):
    """Makes so many connections, and answers the target's CPU nanoseconds and the seconds that took."""
    command = [world.programs["tls-handshakes"], f"127.0.0.1:{port}", world.certificates.authority, kind,
               str(count), str(threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as client:
        try:
            if client.stdout.readline() != "ready\n":
                raise Failure(f"{title}, {running.name}: {client.stderr.read().strip()}")
            before, begin = running.cpu(), time.monotonic()
            client.stdin.write("\n")
            client.stdin.flush()
            answer = client.stdout.readline()
            seconds, used = time.monotonic() - begin, running.cpu() - before
            if answer != "done\n" or client.wait(10) != 0:
                raise Failure(f"{title}, {running.name}: {client.stderr.read().strip()}")
            return used, seconds
        finally:
            client.kill()
