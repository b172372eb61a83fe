"""The work that is measured while a target runs with one worker: goals P1 to P5 and P7."""

import material
from handshakes import handshakes
from load import Load, percentile


class Workload:
    """Work of a goal, under a name; `run` does it once with a target that is running, and answers a sample.

    A sample's `cost` is what is compared, the less the better; all else is shown beside it."""

    # Whether its cost should be the same each time.
    noisy = True

    def __init__(self, goal, name, unit):
        self.goal = goal
        self.name = name
        self.unit = unit

    @property
    def title(self):
        return f"{self.goal} {self.name}"

    def fits(self, target):
        """Whether it says anything about this target."""
        return True

    def run(self, world, running, scale):
        raise NotImplementedError


def scaled(number, scale, least):
    return max(least, int(number * scale))


class Requests(Workload):
    """Unary calls, or requests of HTTP/1.1, that the backend echoes: CPU time for each."""

    def __init__(self, goal, name, listener, clients, streams, requests, size=11, http1=False, times=1):
        """`times`: by how many runs of the client the requests are made."""
        super().__init__(goal, name, "µs CPU/request")
        self.times = times
        self.listener = listener
        self.clients = clients
        self.streams = streams
        self.requests = requests
        self.size = size
        self.http1 = http1

    def fits(self, target):
        # The codec of HTTP/2 does not matter to HTTP/1.1.
        return not (self.http1 and target == "envoy nghttp2")

    def run(self, world, running, scale):
        count = scaled(self.requests / self.times, scale, 10 * self.clients)
        body = world.bodies.of(self.size)
        load = Load(self.listener, self.clients, self.streams, count, body, expected=self.size, http1=self.http1)
        seconds, times, before = 0, [], running.cpu()
        for _ in range(self.times):
            rate, more = load.run(f"{self.title}, {running.name}", running.ports[self.listener], world.directory)
            seconds += count / rate
            times += more
        used = running.cpu() - before
        times.sort()
        return {"cost": used / 1000 / len(times), "rate": len(times) / seconds, "p50": percentile(times, 500),
                "p99": percentile(times, 990), "p999": percentile(times, 999), "memory": running.memory()}


class Stream(Workload):
    """Long bodies in one direction, one after the other: CPU time for 100 MB."""

    REQUESTS = 3

    def __init__(self, listener, upload, http1):
        way = "up" if upload else "down"
        protocol = "HTTP/1.1" if http1 else "HTTP/2"
        super().__init__("P5", f"{protocol}{' TLS' if listener == 'tls' else ''}, 100 MB {way}", "ms CPU/100 MB")
        self.listener = listener
        self.upload = upload
        self.http1 = http1

    def fits(self, target):
        return not (self.http1 and target == "envoy nghttp2")

    def run(self, world, running, scale):
        size = scaled(material.STREAMED, scale, material.MEBIBYTE)
        prefix = "/h1" if self.http1 else "/api.Echo"
        path = f"{prefix}/{'sink' if self.upload else 'source'}/{size}"
        body = world.bodies.of(size) if self.upload else None
        expected = 0 if self.upload else size
        load = Load(self.listener, 1, 1, self.REQUESTS, body, path, expected, self.http1)
        before = running.cpu()
        rate, _ = load.run(f"{self.title}, {running.name}", running.ports[self.listener], world.directory)
        used = running.cpu() - before
        total = size * self.REQUESTS / 1e6
        return {"cost": used / 1e6 / (total / 100), "MB/s": rate * size / 1e6,
                "MB per CPU-second": total / (used / 1e9), "memory": running.memory()}


class Handshakes(Workload):
    """Connections of TLS 1.3 with one small request that the proxy answers itself: CPU time for each."""

    THREADS = 4

    def __init__(self, kind, key):
        name = "RSA-2048" if key == "rsa" else "ECDSA P-256"
        super().__init__("P7", f"{kind} handshake, {name}", "µs CPU/handshake")
        self.kind = kind
        self.listener = "tls_rsa" if key == "rsa" else "tls"

    def fits(self, target):
        return target != "envoy nghttp2"

    def run(self, world, running, scale):
        count = scaled(2000, scale, 100)
        port = running.ports[self.listener]
        used, seconds = handshakes(world, running, port, self.kind, count, self.THREADS, self.title)
        return {"cost": used / 1000 / count, "rate": count / seconds, "per CPU-second": count / (used / 1e9),
                "memory": running.memory()}


def one_worker():
    """All of it."""
    sizes = material.UNARY.items()
    counts = {"11 B": 30000, "1 KiB": 30000, "16 KiB": 10000}
    return [
        *(Requests("P1", f"h2c 10x10 {name}", "h2c", 10, 10, counts[name], size) for name, size in sizes),
        Requests("P1", "h2c 100x1 11 B", "h2c", 100, 1, 20000),
        *(Requests("P2", f"h2 TLS 10x10 {name}", "tls", 10, 10, counts[name], size) for name, size in sizes),
        Requests("P3", "HTTP/1.1 50 conn.", "http1", 50, 1, 25000, http1=True),
        Requests("P3", "HTTP/1.1 TLS 50 conn.", "tls", 50, 1, 25000, http1=True),
        # Which processor each of the three processes sleeps on, and so what waking it costs, is decided anew for each run
        # of the client.
        Requests("P4", "h2c one at a time", "h2c", 1, 1, 8000, times=10),
        Requests("P4", "HTTP/1.1 one at a time", "http1", 1, 1, 8000, http1=True, times=10),
        *(Stream(listener, upload, http1) for http1 in (False, True)
          for listener in ("http1" if http1 else "h2c", "tls") for upload in (True, False)),
        *(Handshakes(kind, key) for key in ("rsa", "ecdsa") for kind in ("full", "resumed")),
    ]
