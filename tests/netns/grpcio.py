"""Calls api.Echo/Echo over TLS with grpcio, and tells which pod answers.

grpcio.py count NUMBER MIN MAX [--connections]   each pod answers MIN to MAX of the calls
grpcio.py load [--threads N] [--pause-ms N]      calls until SIGTERM, one line each: milliseconds, pod or status code
"""

import argparse
import collections
import pathlib
import signal
import ssl
import sys
import threading
import time

import grpc


def channel(target, certificate):
    """A channel with a connection of its own.

    grpcio has no TLS without verification, so it trusts the certificate that the server shows, by the name it bears.
    """
    options = [("grpc.ssl_target_name_override", target.split(":")[0]), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(certificate), options)


def show_certificate(target):
    host, port = target.rsplit(":", 1)
    return ssl.get_server_certificate((host, int(port))).encode()


class Client:
    """One channel to the echo service."""

    def __init__(self, protos, target, certificate):
        self.protos = protos
        self.channel = channel(target, certificate)
        self.echo = self.channel.unary_unary(
            "/api.Echo/Echo",
            request_serializer=protos.EchoRequest.SerializeToString,
            response_deserializer=protos.EchoResponse.FromString,
        )

    def pod(self):
        """Calls once. The pod that answered."""
        response, call = self.echo.with_call(self.protos.EchoRequest(content="echo"), timeout=5)
        if response.content != "echo":
            raise ValueError(f"not the echo: {response.content!r}")
        return dict(call.initial_metadata())["hostname"]


def count(a, protos):
    certificate = show_certificate(a.target)
    pods = collections.Counter()
    client = None
    for _ in range(a.number):
        if client is None or a.connections:
            client = Client(protos, a.target, certificate)
        pods[client.pod()] += 1
        if a.connections:
            client.channel.close()
    print(", ".join(f"{pod} {number}" for pod, number in sorted(pods.items())))
    for pod, number in pods.items():
        if not a.min <= number <= a.max:
            sys.exit(f"{pod} answered {number} calls, not {a.min} to {a.max}")


def load(a, protos):
    stop, one_line = threading.Event(), threading.Lock()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    certificate = show_certificate(a.target)

    def run():
        client = Client(protos, a.target, certificate)
        while not stop.wait(a.pause_ms / 1000):
            begin = time.time()
            try:
                answer = client.pod()
            except grpc.RpcError as error:
                answer = f"{error.code().name} {error.details()}"
            # The time at which the call began: that is when it found the server as it was.
            with one_line:
                print(f"{begin * 1000:.0f}", *answer.split(), flush=True)

    threads = [threading.Thread(target=run) for _ in range(a.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    counting = commands.add_parser("count")
    for name in ["number", "min", "max"]:
        counting.add_argument(name, type=int)
    counting.add_argument("--connections", action="store_true", help="each call on a connection of its own")
    counting.set_defaults(run=count)
    loading = commands.add_parser("load")
    loading.add_argument("--threads", type=int, default=4)
    loading.add_argument("--pause-ms", type=int, default=10)
    loading.set_defaults(run=load)
    for command in [counting, loading]:
        command.add_argument("--proto", required=True)
        command.add_argument("--target", required=True)
    a = parser.parse_args()
    proto = pathlib.Path(a.proto)
    sys.path.insert(0, str(proto.parent))
    a.run(a, grpc.protos(proto.name))


main()
