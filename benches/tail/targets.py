"""The proxies that are compared: how each is started, and how its certificate is changed."""

import getpass
import os
import socket
import subprocess
from pathlib import Path

from stand import Failed, cargo, envoy, fill, free_ports, program, stats

CONFIG = Path(__file__).resolve().parent / "config"
NAME = "echo.bench.test"
ENVOY_CLUSTERS = {False: "type: STATIC", True: "type: STRICT_DNS\n    dns_lookup_family: V4_ONLY\n    dns_refresh_rate: 1s"}


class Certificates:
    """Pairs of a key and a certificate, one of which is the current one: `live` is a link, as in a Kubernetes volume."""

    def __init__(self, directory, pairs=2):
        self.directory, self.pairs, self.current = directory / "certificates", pairs, 0
        self.directory.mkdir()
        for number in range(pairs):
            pair = self.directory / str(number)
            pair.mkdir()
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-days", "2", "-subj", f"/CN=edge-{number}", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-keyout", pair / "tls.key", "-out", pair / "tls.crt"], check=True, capture_output=True)
            (pair / "both.pem").write_text((pair / "tls.crt").read_text() + (pair / "tls.key").read_text())
        self.link(0)

    def live(self, name):
        return self.directory / "live" / name

    def link(self, number):
        new = self.directory / "new"
        new.symlink_to(str(number))
        os.replace(new, self.directory / "live")

    def swap(self):
        self.current = (self.current + 1) % self.pairs
        self.link(self.current)


class Target:
    """A proxy that runs."""

    def __init__(self, name, process, port, admin=None, socket_path=None):
        self.name, self.process, self.port, self.admin, self.socket_path = name, process, port, admin, socket_path

    def swapped(self, certificates):
        """Tells the proxy of a new certificate, where it does not see that itself."""
        if self.socket_path:
            path = certificates.live("both.pem")
            pem = path.read_text().strip()
            for command in (f"set ssl cert {path} <<\n{pem}\n\n", f"commit ssl cert {path}\n"):
                answer = self.command(command)
                if "Success" not in answer and "created" not in answer and "updated" not in answer:
                    raise Failed(f"haproxy does not take the certificate: {answer}")

    def command(self, text):
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(str(self.socket_path))
            stream.sendall(text.encode())
            answer = b""
            while piece := stream.recv(65536):
                answer += piece
            return answer.decode()

    def changes_of_hosts(self):
        """How often the proxy has seen its hosts change."""
        if self.admin:
            return stats(self.admin)["cluster.echo.membership_change"]
        words = self.command("show resolvers names\n").split()
        return int(words[words.index("update:") + 1])


class Setting:
    """What all targets of a stage share."""

    def __init__(self, stand, stage, hosts, port, certificates=None, resolver=None):
        self.stand, self.stage, self.hosts, self.backend = stand, stage, hosts, port
        self.certificates, self.resolver = certificates, resolver
        self.cpu = None

    def directory(self, name):
        path = self.stand.directory / f"{self.stage}-{name}"
        path.mkdir()
        return path


def envoy_file(setting, directory, port, admin, watched):
    """The file of the edge. Envoy is told where to resolve and to watch its certificate in the file; meshlib's
    resolver is a flag, and certificates are watched anyway."""
    hosts = [NAME] if setting.resolver else setting.hosts
    endpoint = "{{endpoint: {{address: {{socket_address: {{address: {}, port_value: {}}}}}}}}}"
    discovery = ENVOY_CLUSTERS[setting.resolver is not None]
    if setting.resolver and watched:
        address, _, number = setting.resolver.partition(":")
        discovery += (
            "\n    typed_dns_resolver_config: {name: envoy.network.dns_resolver.cares, typed_config: {'@type': "
            "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig, resolvers: "
            f"[{{socket_address: {{address: {address}, port_value: {number}}}}}], "
            "dns_resolver_options: {no_default_search_domain: true}}}")
    return fill(
        CONFIG / "edge.envoy.yaml", port=port, admin=admin, log=directory / "access.log",
        discovery=discovery, transport_socket=transport_socket(setting, directory, watched),
        endpoints=", ".join(endpoint.format(host, setting.backend) for host in hosts))


def transport_socket(setting, directory, watched):
    certificates = setting.certificates
    if not certificates:
        return "name: plain"
    pair = (f"certificate_chain: {{filename: {certificates.live('tls.crt')}}}, "
            f"private_key: {{filename: {certificates.live('tls.key')}}}")
    known = f"tls_certificates: [{{{pair}}}]"
    if watched and setting.stage == "certificate":
        secret = directory / "secret.yaml"
        secret.write_text(
            "resources:\n- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: edge\n"
            f"  tls_certificate: {{{pair}, watched_directory: {{path: {certificates.directory}}}}}\n")
        known = ("tls_certificate_sds_secret_configs: [{name: edge, sds_config: "
                 f"{{path_config_source: {{path: {secret}}}}}}}]")
    return ("transport_socket: {name: envoy.transport_sockets.tls, typed_config: {'@type': "
            "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, "
            f"common_tls_context: {{alpn_protocols: [h2, http/1.1], {known}}}}}}}")


def start_meshlib(setting, binary):
    directory, (port, admin) = setting.directory("meshlib"), free_ports(2)
    path = directory / "edge.envoy.yaml"
    path.write_text(envoy_file(setting, directory, port, admin, watched=False))
    resolver = ["--resolver", setting.resolver] if setting.resolver else []
    command = [binary, "-c", path, "--concurrency", "1", "-l", "warning", *resolver]
    return started(setting, "meshlib", command, port, f"127.0.0.1:{admin}")


def start_envoy(setting, binary):
    directory, (port, admin) = setting.directory("envoy"), free_ports(2)
    path = directory / "edge.envoy.yaml"
    path.write_text(envoy_file(setting, directory, port, admin, watched=True))
    command = [binary, "-c", path, "--concurrency", "1", "-l", "critical", "--disable-hot-restart",
               "--service-node", "edge", "--service-cluster", "edge"]
    return started(setting, "envoy", command, port, f"127.0.0.1:{admin}")


def start_haproxy(setting, binary):
    directory, (port,) = setting.directory("haproxy"), free_ports(1)
    bind = "proto h2"
    if setting.certificates:
        bind = f"ssl crt {setting.certificates.live('both.pem')} alpn h2,http/1.1"
    check = "proto h2 check check-proto h2 inter 1s"
    servers = [f"  server host{number} {host}:{setting.backend} {check}" for number, host in enumerate(setting.hosts)]
    resolvers = ""
    if setting.resolver:
        resolvers = (f"resolvers names\n  nameserver ours {setting.resolver}\n  hold valid 1s\n  hold obsolete 0s\n"
                     "  timeout resolve 1s\n  timeout retry 1s\n")
        count = len(setting.hosts)
        servers = [f"  server-template host {count} {NAME}:{setting.backend} {check} resolvers names resolve-prefer ipv4 "
                   "init-addr none"]
    path = directory / "haproxy.cfg"
    path.write_text(fill(CONFIG / "haproxy.cfg", port=port, socket=directory / "socket", bind=bind,
                         resolvers=resolvers, servers="\n".join(servers)))
    target = started(setting, "haproxy", [binary, "-db", "-f", path], port)
    target.socket_path = directory / "socket"
    return target


def start_nginx(setting, binary):
    directory, (port,) = setting.directory("nginx"), free_ports(1)
    certificate = ""
    if setting.certificates:
        certificate = (f"ssl_certificate {setting.certificates.live('tls.crt')}; "
                       f"ssl_certificate_key {setting.certificates.live('tls.key')}; ssl_protocols TLSv1.2 TLSv1.3;")
    servers = " ".join(f"server {host}:{setting.backend};" for host in setting.hosts)
    path = directory / "nginx.conf"
    path.write_text(fill(CONFIG / "nginx.conf", user=getpass.getuser(), port=port, servers=servers,
                         log=directory / "access.log", listen="ssl http2" if setting.certificates else "http2",
                         certificate=certificate))
    return started(setting, "nginx", [binary, "-p", directory, "-c", path], port)


def started(setting, name, command, port, admin=None):
    process = setting.stand.start(f"{setting.stage}-{name}", command, cpu=setting.cpu)
    setting.stand.listening(process, ("127.0.0.1", port))
    return Target(name, process, port, admin)


START = {"meshlib": start_meshlib, "envoy": start_envoy, "haproxy": start_haproxy, "nginx": start_nginx}


def binaries(names):
    """The program of each target, installed where it is missing."""
    found = {}
    for name in names:
        if name == "meshlib":
            found[name] = cargo("meshlib-bin", "meshlib")
        elif name == "envoy":
            found[name] = envoy()
        else:
            found[name] = os.environ.get(name.upper()) or program(name, name)
    return found
