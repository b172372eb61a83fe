"""HAProxy's configuration: only relaying, or doing the same as the reference edge.

Its buffers are twice as large as the default of 16 KiB: with that, 2.6.12 ends answers of 16 KiB early, whose trailers
come behind a full buffer (https://github.com/haproxy/haproxy/issues/2388). And the hosts' connections serve all
clients, as those of meshlib and Envoy do: with the default, `http-reuse safe`, HTTP/2 costs HAProxy a third more.
"""

FILE = """\
global
  nbthread {workers}
  maxconn 8000
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.bufsize 32768
  tune.h2.initial-window-size 1048576
  tune.h2.max-concurrent-streams 1024
{log}
defaults
  mode http
  timeout connect 500ms
  timeout client 300s
  timeout server 15s
  http-reuse {reuse}

frontend edge
  bind 127.0.0.1:{h2c} proto h2
  bind 127.0.0.1:{http1}
  bind 127.0.0.1:{tls} ssl crt {ecdsa} alpn h2,http/1.1
  bind 127.0.0.1:{tls_rsa} ssl crt {rsa} alpn h2,http/1.1
{same}
  http-request return status 200 if {{ path /healthz }}
  use_backend http2 if {{ path_beg /api.Echo/ }}
  use_backend http1 if {{ path_beg /h1/ }}

backend http2
  balance roundrobin
{checks2}
{http2}
backend http1
  balance roundrobin
{checks1}
{http1_hosts}
"""

# `log stdout`: the process's output is a file.
LOG = "  log stdout format raw local0\n"
SAME = """\
  log global
  option httplog
  option forwardfor
  unique-id-format %{+X}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header x-request-id
"""
CHECKS = "  option httpchk GET /healthz\n"


def servers(ports, options):
    return "".join(f"  server host{at} 127.0.0.1:{port} {options}\n" for at, port in enumerate(ports))


def edge(ports, hosts, certificates, options, workers):
    same, reuse = options
    checked = " check inter 10s" if same else ""
    return FILE.format(
        workers=workers,
        reuse=reuse,
        log=LOG if same else "",
        same=SAME if same else "",
        checks1=CHECKS if same else "",
        checks2=CHECKS if same else "",
        http2=servers(hosts["http2"], "proto h2" + (checked + " check-proto h2" if same else "")),
        http1_hosts=servers(hosts["http1"], checked),
        ecdsa=certificates.both("ecdsa"),
        rsa=certificates.both("rsa"),
        **{name: ports[name] for name in ("h2c", "http1", "tls", "tls_rsa")},
    )
