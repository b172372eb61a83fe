"""nginx's configuration: only relaying, or doing the same as the reference edge, but for active checks: it has none."""

import grp
import os
import pwd

FILE = """\
daemon off;
user {user} {group};
worker_processes {workers};
pid {directory}/nginx.pid;
error_log {directory}/error.log error;
events {{ worker_connections 16000; }}
http {{
  client_body_temp_path {directory}/client;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
{log}
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  client_max_body_size 0;
  http2_max_concurrent_streams 1024;
  http2_body_preread_size 1m;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_tickets on;

  upstream http2 {{
{http2}
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  upstream http1 {{
{http1_hosts}
    keepalive 256;
    keepalive_requests 1000000000;
  }}

{servers}
}}
"""

SERVER = """\
  server {{
    listen 127.0.0.1:{listen};
{certificate}
    location = /healthz {{ return 200; }}
    location /api.Echo/ {{
      grpc_pass grpc://http2;
      grpc_connect_timeout 500ms;
      grpc_read_timeout 15s;
{grpc_same}
    }}
    location /h1/ {{
      proxy_pass http://http1;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 500ms;
      proxy_read_timeout 15s;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
{proxy_same}
    }}
  }}
"""

# Lines are gathered as meshlib and Envoy do it.
LOG = "  access_log {directory}/access.log combined buffer=64k flush=1s;\n"
NO_LOG = "  access_log off;\n"
SAME = """\
      {kind}_set_header X-Request-ID $request_id;
      {kind}_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
"""


def server(listen, same, pair=None):
    certificate = f"    ssl_certificate {pair[0]};\n    ssl_certificate_key {pair[1]};\n" if pair else ""
    grpc_same, proxy_same = (SAME.format(kind=kind) if same else "" for kind in ("grpc", "proxy"))
    return SERVER.format(listen=listen, certificate=certificate, grpc_same=grpc_same, proxy_same=proxy_same)


def edge(ports, hosts, certificates, same, workers, directory):
    pair = {name: (certificates.certificate(name), certificates.key(name)) for name in ("rsa", "ecdsa")}
    servers = [
        server(f"{ports['h2c']} http2", same),
        server(ports["http1"], same),
        server(f"{ports['tls']} ssl http2", same, pair["ecdsa"]),
        server(f"{ports['tls_rsa']} ssl http2", same, pair["rsa"]),
    ]
    return FILE.format(
        user=pwd.getpwuid(os.geteuid()).pw_name,
        group=grp.getgrgid(os.getegid()).gr_name,
        workers=workers,
        directory=directory,
        log=(LOG if same else NO_LOG).format(directory=directory),
        http2="".join(f"    server 127.0.0.1:{port};\n" for port in hosts["http2"]),
        http1_hosts="".join(f"    server 127.0.0.1:{port};\n" for port in hosts["http1"]),
        servers="".join(servers),
    )
