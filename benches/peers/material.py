"""Certificates and bodies."""

import os
import subprocess

from failure import Failure

MEBIBYTE = 1 << 20
STREAMED = 100_000_000
UNARY = {"11 B": 11, "1 KiB": 1024, "16 KiB": 16384}


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"openssl {arguments[0]}: {done.stderr}")


class Certificates:
    """An authority and two certificates of `localhost`, one for each kind of key."""

    KEYS = {"rsa": ["rsa:2048"], "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}

    def __init__(self, directory):
        self.directory = directory
        self.authority = self.path("ca.crt")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=meshlib benches",
                "-keyout", self.path("ca.key"), "-out", self.authority)
        for name, key in self.KEYS.items():
            self._issue(name, key)

    def _issue(self, name, key):
        request, extensions = self.path(f"{name}.csr"), self.path("extensions")
        with open(extensions, "w") as file:
            file.write("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        openssl("req", "-new", "-newkey", *key, "-nodes", "-subj", "/CN=localhost",
                "-keyout", self.key(name), "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.path("ca.key"),
                "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", self.certificate(name))
        # HAProxy wants both in one file.
        with open(self.both(name), "w") as both:
            for part in (self.certificate(name), self.key(name)):
                with open(part) as file:
                    both.write(file.read())

    def path(self, name):
        return os.path.join(self.directory, name)

    def certificate(self, name):
        return self.path(f"{name}.crt")

    def key(self, name):
        return self.path(f"{name}.key")

    def both(self, name):
        return self.path(f"{name}.pem")


class Bodies:
    """Files to send: a gRPC message each, so that its length stands in its first bytes."""

    def __init__(self, directory):
        self.directory = directory

    def of(self, size):
        path = os.path.join(self.directory, f"body-{size}")
        if not os.path.exists(path) or os.path.getsize(path) != size:
            with open(path, "wb") as file:
                file.write(b"\0" + (size - 5).to_bytes(4, "big"))
                left = size - 5
                while left > 0:
                    left -= file.write(b"x" * min(left, MEBIBYTE))
        return path
