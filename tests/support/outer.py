"""A school's own proxy before open-hydra, which ends TLS there: nginx and Caddy, as their manuals say it is done."""
import http.client
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.parse

from support.instance import wait_until

NAME, ADDRESS = "hydra.test", "127.0.0.2"
KINDS = [kind for kind in ("nginx", "caddy") if shutil.which(kind, path=os.environ.get("PATH", "") + ":/usr/sbin")]

NGINX = """\
daemon off;
pid {folder}/pid;
worker_processes 1;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/tls.crt;
    ssl_certificate_key {folder}/tls.key;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    proxy_http_version 1.1;
    {host}
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_read_timeout 1d;
    proxy_buffering off;
    client_max_body_size 0;
{servers}}}
"""


class Outer:
    """Listens with TLS on an address of its own. `routes`: (host name or None for any, port here, port there); port there None: the same."""

    def __init__(self, kind, routes, plain=(), keep_host=True, scheme="http"):
        self.kind, self.routes, self.plain, self.keep_host, self.scheme = kind, routes, plain, keep_host, scheme
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="oh-outer-", dir="/tmp"))
        self.folder.chmod(0o755)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key", "-out",
                        "tls.crt", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},DNS:*.{NAME},IP:{ADDRESS}"],
                       cwd=self.folder, check=True, capture_output=True)
        self.certificate = str(self.folder / "tls.crt")
        self.tls = ssl.create_default_context(cafile=self.certificate)

    def nginx(self):
        host = "proxy_set_header Host $http_host;" if self.keep_host else ""
        rows = [(name, here, there, " ssl") for name, here, there in self.routes] + [(None, here, there, "") for here, there in self.plain]
        servers = "".join(f"    server {{ listen {ADDRESS}:{here}{tls}; server_name {name or '_'}; "
                          f"location / {{ proxy_pass {self.scheme}://127.0.0.1:{there or '$server_port'}; }} }}\n" for name, here, there, tls in rows)
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder, servers=servers, host=host))
        return ["nginx", "-e", "stderr", "-p", self.folder, "-c", self.folder / "nginx.conf"]

    def caddy(self):
        """It listens at no range: each port is said."""
        assert self.keep_host and not self.plain and self.scheme == "http"
        text = "{\n\tadmin off\n\tauto_https off\n}\n"
        for name, here, there in self.routes:
            first, _, last = str(here).partition("-")
            sites = ", ".join(f"https://{name or ''}:{port}" for port in range(int(first), int(last or first) + 1))
            text += (f"{sites} {{\n\tbind {ADDRESS}\n\ttls {self.folder}/tls.crt {self.folder}/tls.key\n"
                     f"\treverse_proxy 127.0.0.1:{there or '{http.request.port}'}\n}}\n")
        (self.folder / "Caddyfile").write_text(text)
        return ["caddy", "run", "--config", self.folder / "Caddyfile", "--adapter", "caddyfile"]

    def __enter__(self):
        command = getattr(self, self.kind)()
        environment = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder),
                       "PATH": os.environ.get("PATH", "") + ":/usr/sbin"}
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment)
        wait_until(self.answers, 30, what=self.kind)
        return self

    def answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection((ADDRESS, int(str(self.routes[-1][1]).split("-")[0])), timeout=5).close()
            return True
        except OSError:
            return False

    def __exit__(self, *exc):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        shutil.rmtree(self.folder)

    # ---- a browser there ----------------------------------------------------------------------------------------

    def connect(self, url, source="127.0.0.1"):
        to = urllib.parse.urlsplit(url)
        connection = socket.create_connection((ADDRESS, to.port or 443), timeout=30, source_address=(source, 0))
        return self.tls.wrap_socket(connection, server_hostname=to.hostname) if to.scheme == "https" else connection

    def ask(self, url, method="GET", headers=None, body=None, source="127.0.0.1"):
        """One request, from that address of this machine. Status, headers, body."""
        to = urllib.parse.urlsplit(url)
        c = http.client.HTTPConnection(to.hostname)
        c.sock = self.connect(url, source)
        try:
            c.putrequest(method, to.path + (f"?{to.query}" if to.query else "") or "/", skip_host=True, skip_accept_encoding=True)
            c.putheader("Host", to.netloc)
            for name, value in (headers or {}).items():
                c.putheader(name, value)
            if body is not None:
                c.putheader("Content-Length", str(len(body)))
            c.endheaders(body)
            answer = c.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            c.close()
