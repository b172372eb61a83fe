"""Processes that are started and ended here, and what the system says they use."""

import os
import re
import shutil
import signal
import subprocess
import time

from failure import Failure


def descendants(pid):
    """A process and all its children, as they are now."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    found.extend(int(child) for child in children.read().split())
        except FileNotFoundError:
            pass  # it has ended
    return found


# Should this program be killed, so are those it has started. (util-linux; without it, that is lost and nothing else.)
WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


class Process:
    """A program under a name, with its output in a file."""

    def __init__(self, name, command, output, directory):
        self.name = name
        self.output = output
        # Appended to, so that what is written to it can be cut away meanwhile.
        open(output, "wb").close()
        with open(output, "ab") as file:
            self.child = subprocess.Popen(
                [*WITH_PARENT, *command], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                cwd=directory, start_new_session=True,
            )
        started.append(self)

    def pids(self):
        return descendants(self.child.pid)

    def cpu(self):
        """CPU time so far in nanoseconds, user and system, of all threads and children, ended threads included."""
        try:
            # The clock of another process: see clock_getcpuclockid(3).
            return sum(time.clock_gettime_ns(~pid << 3 | 2) for pid in self.pids())
        except OSError as error:
            self.must_live()
            raise Failure(f"{self.name}: its CPU time cannot be read, one of its processes may have ended") from error

    def memory(self):
        """Resident bytes; pages that processes share are counted in each."""
        return sum(self._resident(pid) for pid in self.pids())

    @staticmethod
    def _resident(pid):
        with open(f"/proc/{pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024

    def must_live(self):
        if self.child.poll() is not None:
            with open(self.output, errors="replace") as output:
                raise Failure(f"{self.name} has ended with {self.child.returncode}: {output.read()[-2000:]}")

    def end(self):
        """Ends it and its children, and waits for that."""
        pids = [] if self.child.poll() is not None else self.pids()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            try:
                self.child.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
            pids = [pid for pid in pids if pid != self.child.pid]
            time.sleep(0.05 if pids else 0)
        if self in started:
            started.remove(self)


# All that run, so that they end however this ends.
started = []


def end_all():
    for process in list(reversed(started)):
        process.end()
