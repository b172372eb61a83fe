"""The proxies: how each is started, with ports of its own."""

import os

import envoy_file
import haproxy_file
import nginx_file
from ports import free, wait_until_open
from process import Process

LISTENERS = ("h2c", "http1", "tls", "tls_rsa")


class World:
    """What all targets share: programs, certificates, the backend's addresses, a directory for files."""

    def __init__(self, programs, certificates, bodies, directory):
        self.programs = programs
        self.certificates = certificates
        self.bodies = bodies
        self.directory = directory
        self.hosts = {}
        self.backend = None

    def own_directory(self, name):
        """For one start of one target; without spaces, which some configurations do not like."""
        path = os.path.join(self.directory, name.replace(" ", "-"))
        os.makedirs(path, exist_ok=True)
        return path

    def start_backend(self):
        """One process with three hosts of each protocol."""
        self.hosts = {protocol: [free() for _ in range(3)] for protocol in ("http2", "http1")}
        addresses = [f"{protocol}=127.0.0.1:{port}" for protocol, ports in self.hosts.items() for port in ports]
        output = os.path.join(self.directory, "backend.out")
        self.backend = Process("backend", [self.programs["peers-backend"], *addresses], output, self.directory)
        wait_until_open(self.backend, sum(self.hosts.values(), []))


class Running:
    """Processes that serve together under one name; the first has the listeners."""

    def __init__(self, name, processes, ports, directories):
        self.name = name
        self.processes = processes
        self.ports = ports
        self.directories = directories

    def cpu(self):
        return sum(process.cpu() for process in self.processes)

    def memory(self):
        return sum(process.memory() for process in self.processes)

    def pids(self):
        return [pid for process in self.processes for pid in process.pids()]

    def must_live(self):
        for process in self.processes:
            process.must_live()

    def cut_logs(self):
        """Empties the access logs, so that a long run does not fill the disk."""
        for directory in self.directories:
            for name in ("access.log", "output"):
                path = os.path.join(directory, name)
                if os.path.exists(path):
                    os.truncate(path, 0)

    def end(self):
        for process in self.processes:
            process.end()
        self.cut_logs()


class Target:
    """A program that runs the reference edge, or only relays."""

    def __init__(self, world, name, program):
        self.world = world
        self.name = name
        self.program = program

    def start(self, workers=1):
        directory = self.world.own_directory(f"{self.name} {workers}")
        ports = {name: free() for name in (*LISTENERS, "admin")}
        command = self.command(ports, workers, directory)
        process = Process(self.name, command, os.path.join(directory, "output"), directory)
        wait_until_open(process, [ports[name] for name in LISTENERS])
        return Running(self.name, [process], ports, [directory])

    def write(self, directory, name, text):
        path = os.path.join(directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path


class EnvoyFile(Target):
    """Runs the reference edge's file."""

    def command(self, ports, workers, directory):
        log = os.path.join(directory, "access.log")
        text = envoy_file.edge(ports, self.world.hosts, self.world.certificates, log)
        return self.arguments(self.write(directory, "envoy.yaml", text), workers)


class Meshlib(EnvoyFile):
    def arguments(self, file, workers):
        return [self.program, "-c", file, "--concurrency", str(workers), "-l", "off"]


class Envoy(EnvoyFile):
    def __init__(self, world, name, program, oghttp2):
        super().__init__(world, name, program)
        self.codec = envoy_file.CODEC.format(oghttp2=str(oghttp2).lower())

    def arguments(self, file, workers):
        workers = ["--concurrency", str(workers)]
        return [self.program, "-c", file, "--config-yaml", self.codec, *workers, "-l", "off", "--disable-hot-restart"]


class Haproxy(Target):
    def __init__(self, world, name, program, same, reuse):
        super().__init__(world, name, program)
        self.options = (same, reuse)

    def command(self, ports, workers, directory):
        text = haproxy_file.edge(ports, self.world.hosts, self.world.certificates, self.options, workers)
        return [self.program, "-db", "-f", self.write(directory, "haproxy.cfg", text)]


class Nginx(Target):
    def __init__(self, world, name, program, same):
        super().__init__(world, name, program)
        self.same = same

    def command(self, ports, workers, directory):
        world = self.world
        text = nginx_file.edge(ports, world.hosts, world.certificates, self.same, workers, directory)
        return [self.program, "-p", directory, "-c", self.write(directory, "nginx.conf", text)]


def all_targets(world, more_meshlibs, reuse):
    """meshlib first, more builds of it next, the peers after them."""
    programs = world.programs
    targets = [Meshlib(world, "meshlib", programs["meshlib"])] if "meshlib" in programs else []
    targets += [Meshlib(world, name, path) for name, path in more_meshlibs]
    return targets + [
        Envoy(world, "envoy oghttp2", programs["envoy"], True),
        Envoy(world, "envoy nghttp2", programs["envoy"], False),
        Haproxy(world, "haproxy same", programs["haproxy"], True, reuse),
        Haproxy(world, "haproxy bare", programs["haproxy"], False, reuse),
        Nginx(world, "nginx same", programs["nginx"], True),
        Nginx(world, "nginx bare", programs["nginx"], False),
    ]
