"""P11: how two workers share connections and CPU time."""

import os
import re
import threading

from load import Load, percentile
from workloads import Workload, scaled

WORKERS = 2
ESTABLISHED = "01"


def cpu_by_thread(pids):
    """Nanoseconds of each thread so far."""
    used = {}
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                used[task] = int(file.read().split()[0])
    return used


def sockets_at(port):
    """The inodes of the connections that were accepted at this port."""
    with open("/proc/net/tcp") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    end = f":{port:04X}"
    return {line[9] for line in lines if line[1].endswith(end) and line[3] == ESTABLISHED}


class Watch(threading.Thread):
    """Looks, until told to stop, which epoll instance watches which of a listener's connections: each worker has one.

    What was seen is kept, since some proxies stop watching what they have just read from."""

    def __init__(self, pids, port):
        super().__init__()
        self.pids = pids
        self.port = port
        self.stopped = threading.Event()
        self.seen = {}

    def run(self):
        while not self.stopped.wait(0.05):
            wanted = {f"socket:[{inode}]" for inode in sockets_at(self.port)}
            for pid in self.pids:
                self._look(pid, wanted)

    def _look(self, pid, wanted):
        links = {}
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            try:
                links[descriptor] = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            except FileNotFoundError:
                pass  # closed since
        for descriptor, link in links.items():
            if "eventpoll" in link:
                with open(f"/proc/{pid}/fdinfo/{descriptor}") as file:
                    watched = {links.get(one) for one in re.findall(r"tfd:\s*(\d+)", file.read())}
                self.seen.setdefault((pid, descriptor), set()).update(watched & wanted)

    def connections(self):
        """How many connections each worker had; descriptors that stand for the same instance count once."""
        self.stopped.set()
        self.join()
        return sorted((len(one) for one in {frozenset(seen) for seen in self.seen.values()} if one), reverse=True)


def apart(shares):
    """By how many percent of the largest share the smallest of the workers' is less."""
    shares = (sorted(shares, reverse=True) + [0] * WORKERS)[:WORKERS]
    return 100 * (shares[0] - shares[-1]) / shares[0] if shares[0] else None


class Spread(Workload):
    """Unary calls over so many connections to a target with two workers."""

    # Where the system puts a connection is chance with some.
    noisy = False

    def __init__(self, clients, streams):
        super().__init__("P11", f"two workers, {clients} connections", "µs CPU/request")
        self.clients = clients
        self.streams = streams

    def run(self, world, running, scale):
        count = scaled(30000, scale, 6000)
        port = running.ports["h2c"]
        load = Load("h2c", self.clients, self.streams, count, world.bodies.of(11), expected=11)
        watch = Watch(running.pids(), port)
        before, threads = running.cpu(), cpu_by_thread(running.pids())
        watch.start()
        try:
            rate, times = load.run(f"{self.title}, {running.name}", port, world.directory)
        finally:
            connections = watch.connections()
        used = running.cpu() - before
        shares = [now - threads.get(task, 0) for task, now in cpu_by_thread(running.pids()).items()]
        return {"cost": used / 1000 / load.requests, "rate": rate, "p50": percentile(times, 500),
                "p99": percentile(times, 990), "CPU apart": apart(shares), "connections": connections,
                "connections apart": apart(connections) if sum(connections) == self.clients else None,
                "memory": running.memory()}


def two_workers():
    return [Spread(2, 20), Spread(10, 10), Spread(100, 2)]
