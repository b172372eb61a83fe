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


def connections_by_epoll(pids, port):
    """How many of a listener's connections each epoll instance of these processes watches. Each worker has its own."""
    wanted = {f"socket:[{inode}]" for inode in sockets_at(port)}
    counts = {}
    for pid in pids:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            count = _watched(pid, descriptor, wanted)
            if count:
                counts[pid, descriptor] = count
    return sorted(counts.values(), reverse=True)


def _watched(pid, descriptor, wanted):
    try:
        if "eventpoll" not in os.readlink(f"/proc/{pid}/fd/{descriptor}"):
            return 0
        with open(f"/proc/{pid}/fdinfo/{descriptor}") as file:
            watched = set(re.findall(r"tfd:\s*(\d+)", file.read()))
        links = []
        for one in watched:
            try:
                links.append(os.readlink(f"/proc/{pid}/fd/{one}"))
            except FileNotFoundError:
                pass  # closed since
        return len(wanted.intersection(links))
    except FileNotFoundError:
        return 0


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
        count = scaled(30000, scale, 10 * self.clients)
        port = running.ports["h2c"]
        load = Load("h2c", self.clients, self.streams, count, world.bodies.of(11), expected=11)
        seen = []
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(running.pids(), port, done, seen))
        before, threads = running.cpu(), cpu_by_thread(running.pids())
        watch.start()
        try:
            rate, times = load.run(f"{self.title}, {running.name}", port, world.directory)
        finally:
            done.set()
            watch.join()
        used = running.cpu() - before
        shares = [now - threads.get(task, 0) for task, now in cpu_by_thread(running.pids()).items()]
        connections = max(seen, key=sum, default=[])
        return {"cost": used / 1000 / load.requests, "rate": rate, "p50": percentile(times, 500),
                "p99": percentile(times, 990), "CPU apart": apart(shares), "connections": connections,
                "connections apart": apart(connections) if sum(connections) == self.clients else None,
                "memory": running.memory()}

    @staticmethod
    def _watch(pids, port, done, seen):
        while not done.wait(0.1):
            seen.append(connections_by_epoll(pids, port))


def two_workers():
    return [Spread(2, 20), Spread(10, 10), Spread(100, 2)]
