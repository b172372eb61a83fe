"""Calls api.Echo/Echo over TLS with grpcio and counts which pod answers.

calls.py PROTO TARGET COUNT MIN MAX [--never POD] [--until POD --within SECONDS]
"""

import argparse
import collections
import pathlib
import socket
import ssl
import sys
import time

import grpc

arguments = argparse.ArgumentParser()
arguments.add_argument("proto")
arguments.add_argument("target")
arguments.add_argument("count", type=int)
arguments.add_argument("min", type=int)
arguments.add_argument("max", type=int)
arguments.add_argument("--name", default="edge.test", help="the name in the certificate")
arguments.add_argument("--never")
arguments.add_argument("--until")
arguments.add_argument("--within", type=float, default=11)
a = arguments.parse_args()

sys.path.insert(0, str(pathlib.Path(a.proto).parent))
protos = grpc.protos(pathlib.Path(a.proto).name)

# grpcio has no "insecure" TLS: trust the certificate that the server shows, by the name it bears.
host, port = a.target.rsplit(":", 1)
certificate = ssl.get_server_certificate((host, int(port)))
options = [("grpc.ssl_target_name_override", a.name)]
channel = grpc.secure_channel(a.target, grpc.ssl_channel_credentials(certificate.encode()), options)
call = channel.unary_unary(
    "/api.Echo/Echo",
    request_serializer=protos.EchoRequest.SerializeToString,
    response_deserializer=protos.EchoResponse.FromString,
)

pods = collections.Counter()
begin = time.monotonic()
for _ in range(a.count):
    response, done = call.with_call(protos.EchoRequest(content="echo"), timeout=5)
    assert response.content == "echo", response
    pod = dict(done.initial_metadata())["hostname"]
    pods[pod] += 1
    if a.until:
        if pod == a.until:
            print(f"{pod} answered after {time.monotonic() - begin:.1f} s and {sum(pods.values())} calls, none failed")
            sys.exit(0)
        if time.monotonic() - begin > a.within:
            break
        time.sleep(0.02)
print(dict(sorted(pods.items())))
if a.until:
    sys.exit(f"{a.until} did not answer within {a.within} s")
if a.never and a.never in pods:
    sys.exit(f"{a.never} answered")
for pod, answered in pods.items():
    if not a.min <= answered <= a.max:
        sys.exit(f"{pod} answered {answered} calls, not {a.min} to {a.max}")
