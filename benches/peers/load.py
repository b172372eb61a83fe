"""Load by h2load, and what it says about the answers."""

import os
import re
import subprocess

from failure import Failure

# One suite and one group, so that every target does the same work.
TLS = ["--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519"]
GRPC = ["-H", "content-type: application/grpc", "-H", "te: trailers"]


class Load:
    """A fixed number of requests."""

    def __init__(self, listener, clients, streams, requests, body=None, path="", expected=None, http1=False):
        self.listener = listener
        self.clients = clients
        self.streams = streams
        self.requests = requests
        self.body = body
        self.path = path or ("/h1/echo" if http1 else "/api.Echo/Echo")
        self.expected = expected
        self.http1 = http1

    def command(self, port, log):
        tls = self.listener.startswith("tls")
        command = ["h2load", "-t1", f"-c{self.clients}", f"-m{self.streams}", f"-n{self.requests}"]
        command += ["--h1"] if self.http1 else GRPC
        command += TLS if tls else []
        command += ["-d", self.body] if self.body else []
        scheme = "https" if tls else "http"
        return [*command, f"--log-file={log}", f"{scheme}://127.0.0.1:{port}{self.path}"]

    def run(self, name, port, directory, seconds=300):
        """Answers requests per second and the latencies in µs, sorted."""
        log = os.path.join(directory, "requests.tsv")
        if os.path.exists(log):
            os.remove(log)  # h2load appends
        try:
            done = subprocess.run(self.command(port, log), capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{name}: the load was not done after {seconds} s") from None
        rate = self._check(name, done.stdout + done.stderr)
        return rate, latencies(name, log, self.requests)

    def _check(self, name, text):
        """Every answer must be 2xx and whole."""
        found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
        statuses = re.search(r"status codes: (\d+) 2xx", text)
        data = re.search(r"\((\d+)\) data", text)
        rate = re.search(r"([\d.]+) req/s", text)
        if not (found and statuses and data and rate):
            raise Failure(f"{name}: h2load says {text[-1000:]}")
        if [int(number) for number in found.groups()] != [self.requests, 0, 0, 0]:
            raise Failure(f"{name}: of {self.requests} requests {found[0]}")
        if int(statuses[1]) != self.requests:
            raise Failure(f"{name}: of {self.requests} answers only {statuses[1]} were 2xx")
        if self.expected is not None and int(data[1]) != self.expected * self.requests:
            raise Failure(f"{name}: bodies of {data[1]} bytes came instead of {self.expected * self.requests}")
        return float(rate[1])


def latencies(name, log, requests):
    with open(log) as file:
        found = sorted(int(line.rsplit("\t", 1)[1]) for line in file)
    if len(found) != requests:
        raise Failure(f"{name}: h2load wrote {len(found)} times for {requests} requests")
    return found


def percentile(values, share):
    """Of sorted values, the smallest that at least this share does not exceed."""
    return values[min(len(values) - 1, max(0, -(-len(values) * share // 1000) - 1))]
