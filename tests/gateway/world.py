"""A gateway as in real life: nginx with the configuration that the server writes, run without privileges; the server's side in a process
of its own (stand.c); environments on unix sockets. Everything in one folder of its own."""
import base64
import dataclasses
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ.get("OPENHYDRA_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build/asan"))
STAND = str(BUILD / "tests/gateway/gateway-stand")
PAGES = HERE.parent.parent / "deploy" / "pages"
NOBODY = 65534
ENVIRONMENTS = 6


def free_ports(count: int) -> int:
    """The first of `count` free ports in a row, below those that the kernel gives to outgoing connections."""
    for first in range(20000 + os.getpid() % 5000, 32000, count):
        held = []
        try:
            for port in range(first, first + count):
                s = socket.socket()
                held.append(s)
                s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for s in held:
                s.close()
    raise RuntimeError("no free ports")


class Environment:
    """What runs in an environment: a server on a unix socket (or at an address) that keeps what it was asked, and answers as told."""

    def __init__(self, at: pathlib.Path | tuple):
        self.seen, self.answers = [], {}
        self.path = at if isinstance(at, pathlib.Path) else None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "nginx"

            def log_message(self, *args):
                pass

            def serve(self):
                outer.seen.append(self)
                if self.headers.get("Upgrade") == "websocket":
                    return self.websocket()
                answer = outer.answers.get(self.path.split("?")[0])
                if callable(answer):
                    return answer(self)
                status, headers, body = answer or (200, [], b"environment")
                self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def websocket(self):
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                import hashlib
                self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
                self.end_headers()
                self.close_connection = True
                while True:
                    head = self.rfile.read(2)
                    if len(head) < 2 or head[0] & 15 == 8:
                        return
                    mask = self.rfile.read(4)
                    text = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(head[1] & 127)))
                    self.wfile.write(bytes([0x81, len(text)]) + text)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = serve

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer if self.path else socketserver.TCPServer):
            address_family = socket.AF_UNIX if self.path else socket.AF_INET6 if ":" in at[0] else socket.AF_INET
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args):
                pass

        self.server = Server(str(at) if self.path else at, Handler)
        if self.path:
            self.path.chmod(0o666)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        if self.path:
            self.path.unlink(missing_ok=True)

    @property
    def url(self) -> str:
        host, port = self.server.server_address[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class WebSocket:
    def __init__(self, port, path="/ws", connection=None, **headers):
        self.socket = connection or socket.create_connection(("127.0.0.1", port), timeout=20)
        lines = {"Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade",
                 "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **headers}
        text = f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        self.socket.sendall(text.encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = http.client.parse_headers(self.file)

    def echo(self, text: str) -> str:
        self.socket.sendall(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text.encode())
        head = self.file.read(2)
        return self.file.read(head[1]).decode()

    def close(self):
        self.socket.close()


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def all(self, name):
        return self.headers.get_all(name) or []

    def json(self):
        return json.loads(self.body)


def request(port, method="GET", path="/", headers=None, body=None, host=None, tls=None, timeout=30, source=None) -> Answer:
    """One request on a connection of its own, with just these headers."""
    if tls:
        c = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=tls)
    else:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout, source_address=source and (source, 0))
    try:
        c.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        c.putheader("Host", host or f"127.0.0.1:{port}")
        for name, value in (headers or {}).items():
            c.putheader(name, value)
        if body is not None:
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body)
        r = c.getresponse()
        return Answer(r.status, r.headers, r.read())
    finally:
        c.close()


NAVIGATE = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


class World:
    def __init__(self, extra="", ports=ENVIRONMENTS, nofile=8192):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="oh-gateway-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.first = free_ports(ports + 2)
        self.dashboard, self.api = self.first + ports, self.first + ports + 1
        self.nofile = nofile
        extra = extra(self) if callable(extra) else extra  # of what it says the ports are
        self.extra, self.stand, self.nginx, self.environments = extra, None, None, {}
        for name in ("data", "web", "web/assets", "run", "run/env", "nginx", "pki"):
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / "web/index.html").write_text("<!doctype html><title>dashboard</title>")
        (self.folder / "web/assets/app-1a2b.js").write_text("'" + "x" * 5000 + "'")
        # As `run` does: nginx's workers may not be able to enter the checkout (a clone in /root).
        shutil.copytree(PAGES, self.folder / "pages")
        (self.folder / "config.yaml").write_text(
            f"environmentListen: 127.0.0.1:{self.first}-{self.first + ports - 1}\n"
            f"dashboardListen: 127.0.0.1:{self.dashboard}\napiListen: 127.0.0.1:{self.api}\n{extra}")
        self.sockets = {name: self.listen(name) for name in ("auth", "gateway")}
        self.start_stand()
        self.tell("pki", self.folder / "pki")
        self.write_configuration()
        self.start_nginx()

    # --- the server's side ---
    def listen(self, name):
        path = self.folder / "run" / f"{name}.sock"
        path.unlink(missing_ok=True)
        s = socket.socket(socket.AF_UNIX)
        s.bind(str(path))
        path.chmod(0o666)
        s.listen(1024)
        s.setblocking(False)
        return s

    def start_stand(self):
        fds = [self.sockets["auth"].fileno(), self.sockets["gateway"].fileno()]
        environment = {**os.environ, "STAND_PKI": str(self.folder / "pki"), "STAND_NOFILE": str(self.nofile)}
        self.stand = subprocess.Popen(
            [STAND, self.folder / "config.yaml", self.folder / "data", self.folder / "web", self.folder / "run",
             *map(str, fds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=fds, env=environment)
        assert self.stand.stdout.readline() == "ready\n"

    def kill_stand(self):
        self.stand.kill()
        self.stand.wait()

    def tell(self, *fields) -> str:
        self.stand.stdin.write("\t".join(map(str, fields)) + "\n")
        self.stand.stdin.flush()
        word, _, text = self.stand.stdout.readline().rstrip("\n").partition(" ")
        if word != "ok":
            raise RuntimeError(text)
        return text

    def user(self, name, role=2, uid=None):
        uid = uid or f"uid-{name}"
        self.tell("put", "openhydrausers", name, uid,
                  json.dumps({"metadata": {"name": name, "uid": uid}, "spec": {"role": role}}))

    def device(self, name, owner, index, phase="Running", uid=None, sandbox="jupyter-lab", **metadata):
        uid = uid or f"uid-device-{name}"
        self.tell("put", "devices", name, uid, json.dumps({
            "metadata": {"name": name, "uid": uid, **metadata}, "spec": {"openHydraUsername": owner},
            "status": {"phase": phase, "port": self.first + index, "sandboxName": sandbox}}))
        return self.first + index

    def endpoint(self, device, uid=None, token=None, address=None):
        """`token` "": none."""
        address = address or f"unix:{self.folder}/run/env/{device}/s.sock"
        self.tell("endpoint", device, uid or f"uid-device-{device}", address, *([] if token == "" else [token or f"token-{device}"]))

    def environment(self, device) -> Environment:
        folder = self.folder / "run/env" / device
        folder.mkdir(exist_ok=True)
        self.environments[device] = Environment(folder / "s.sock")
        return self.environments[device]

    def address(self, device, host) -> Environment:
        """One at an address of this machine, with a port of its own."""
        self.environments[device] = Environment((host, 0))
        return self.environments[device]

    def ticket(self, device, user, role=2) -> str:
        return self.tell("ticket", device, user, role)

    def path_of(self, url) -> str:
        return re.sub(r"^\w+://[^/]+", "", url)

    def cookie(self, device, user, index, role=2) -> str:
        """A Cookie header that opens it."""
        a = request(self.first + index, path=self.path_of(self.ticket(device, user, role)))
        assert a.status == 302, a
        return a.all("Set-Cookie")[0].split(";")[0]

    # --- nginx ---
    def write_configuration(self):
        self.tell("configuration", self.folder / "nginx/nginx.conf", self.folder / "nginx",
                  self.folder / "run/gateway.sock", self.folder / "run/auth.sock", self.folder / "pages")

    def start_nginx(self):
        prefix = self.folder / "nginx"
        who = {}
        if os.geteuid() == 0:
            who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            os.chown(prefix, NOBODY, NOBODY)
            for key in (self.folder / "pki").glob("*"):
                os.chown(key, NOBODY, NOBODY)
        self.log = open(self.folder / "nginx.log", "wb")
        self.nginx = subprocess.Popen(["nginx", "-e", "stderr", "-p", prefix, "-c", prefix / "nginx.conf"],
                                      stderr=self.log, **who)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.first), timeout=1).close()
                return
            except OSError:
                if self.nginx.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(self.nginx_log())
                time.sleep(0.02)

    def nginx_log(self) -> str:
        return (self.folder / "nginx.log").read_text(errors="replace")

    def workers(self) -> set[int]:
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.nginx.pid)], capture_output=True, text=True)
        return {int(pid) for pid in out.stdout.split()}

    def reload(self):
        """The new workers serve, the old ones stay as long as they have connections."""
        before = self.workers()
        self.nginx.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while not self.workers() - before:
            assert time.monotonic() < deadline, self.nginx_log()
            time.sleep(0.02)

    def close(self):
        if self.nginx and self.nginx.poll() is None:
            self.nginx.terminate()
            self.nginx.wait(20)
        for e in self.environments.values():
            e.close()
        if self.stand and self.stand.poll() is None:
            self.stand.stdin.close()
            assert self.stand.wait(30) == 0
        for s in self.sockets.values():
            s.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def arrange(w):
    for name, role in (("anna", 2), ("ben", 2), ("teacher", 1)):
        w.user(name, role)
    for index, name in enumerate(("anna", "ben")):
        w.device(name, name, index)
        w.environment(name)
        w.endpoint(name)
