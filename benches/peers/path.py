"""P13: the reference's own path: client, edge with TLS, sidecar, application, with three pods."""

import os

import envoy_file
from load import Load, percentile
from ports import free, wait_until_open
from process import Process
from targets import LISTENERS, EnvoyFile, Running
from workloads import Requests, scaled


class Path:
    """An edge and three sidecars of the same program, as one target."""

    def __init__(self, target):
        self.target = target
        self.name = target.name

    def start(self, workers=1):
        world = self.target.world
        hosts = world.hosts["http2"]
        sidecars, entries = [], []
        for number, host in enumerate(hosts):
            ports = {"h2c": free(), "admin": free()}
            file = lambda log: envoy_file.sidecar(ports, host, log)
            sidecars.append(self._start(f"sidecar{number}", file, [ports["h2c"]], workers))
            entries.append(ports["h2c"])
        ports = {name: free() for name in (*LISTENERS, "admin")}
        hosts = {"http2": entries, "http1": world.hosts["http1"]}
        file = lambda log: envoy_file.edge(ports, hosts, world.certificates, log)
        edge = self._start("edge", file, [ports[name] for name in LISTENERS], workers)
        directories = [os.path.dirname(process.output) for process in (edge, *sidecars)]
        return Running(self.name, [edge, *sidecars], ports, directories)

    def _start(self, role, file, ports, workers):
        target = self.target
        directory = target.world.own_directory(f"{target.name} {role}")
        log = os.path.join(directory, "access.log")
        command = target.arguments(target.write(directory, "envoy.yaml", file(log)), workers)
        process = Process(f"{target.name} {role}", command, os.path.join(directory, "output"), directory)
        wait_until_open(process, ports)
        return process


class PathRequests(Requests):
    """Calls through edge and sidecars, and right before them as many to the application itself."""

    def run(self, world, running, scale):
        count = scaled(self.requests / self.times, scale, 10 * self.clients)
        direct = Load("h2c", self.clients, self.streams, count, world.bodies.of(self.size), expected=self.size)
        times = []
        for _ in range(self.times):
            times += direct.run(f"{self.title}, no proxy", world.hosts["http2"][0], world.directory)[1]
        times.sort()
        sample = super().run(world, running, scale)
        sample["direct p50"] = percentile(times, 500)
        sample["added p50"] = sample["p50"] - sample["direct p50"]
        return sample


def paths(targets):
    return [Path(target) for target in targets if isinstance(target, EnvoyFile)]


def path_work():
    return [
        PathRequests("P13", "edge (TLS), sidecar 10x10 11 B", "tls", 10, 10, 15000),
        PathRequests("P13", "edge (TLS), sidecar, one at a time", "tls", 1, 1, 4000, times=5),
    ]
