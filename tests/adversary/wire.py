"""What an attacker sends with: HTTP as it should be, and bytes as they should not be. Nothing here depends on pytest, since attackers
are processes of their own."""
import contextlib
import dataclasses
import http.client
import json
import socket
import ssl
import threading
import time

GROUP = "/apis/open-hydra-server.openhydra.io/v1"
BROKEN = (OSError, http.client.HTTPException, ValueError)


@dataclasses.dataclass
class Target:
    """Where an attacker stands, and whom they may call themselves. Plain values: it is sent to another process."""
    dashboard: int      # ports of 127.0.0.1
    api: int
    first_port: int     # of environments
    authority: str      # file of the certificate authority
    token: str          # a student who has no environment, and makes some
    name: str
    spare_name: str     # another account of that student's, for what spoils an account
    inside_token: str   # a student whose environment runs
    inside_name: str
    inside_port: int
    inside_cookie: str  # the environment's pass
    socket: str = ""    # the environment's socket on the host: the student's own program answers there
    seconds: float = 2
    seed: int = 1


class Attack:
    """One attacker: a stop time, counters of what was answered, threads."""

    def __init__(self, target, source=None):
        self.target, self.source = target, source
        self.until = time.monotonic() + target.seconds
        self.answers, self.lock = {}, threading.Lock()

    def on(self):
        return time.monotonic() < self.until

    def left(self):
        return max(0.0, self.until - time.monotonic())

    def count(self, what):
        with self.lock:
            self.answers[str(what)] = self.answers.get(str(what), 0) + 1

    def threads(self, count, work):
        """work(number) again and again in so many threads, until the time is over; what breaks is counted."""
        def loop(number):
            while self.on():
                try:
                    work(number)
                except BROKEN as e:
                    self.count(type(e).__name__)
        running = [threading.Thread(target=loop, args=(n,), daemon=True) for n in range(count)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(self.left() + 5)

    # ---- HTTP as it should be --------------------------------------------------------------------------------

    def open(self, port, tls=False, source=None, timeout=10):
        s = socket.create_connection(("127.0.0.1", port), timeout, (source or self.source or "127.0.0.1", 0))
        if tls:
            s = ssl.create_default_context(cafile=self.target.authority).wrap_socket(s, server_hostname="127.0.0.1")
        return s

    def ask(self, method, path, body=None, kind="application/json", port=None, token=None, headers=None, timeout=10):
        """One request on a connection that the thread keeps; answers with its status, which is counted."""
        port = port or self.target.dashboard
        kept = getattr(self.kept, "connections", None)
        if kept is None:
            kept = self.kept.connections = {}
        connection = kept.get(port) or http.client.HTTPConnection("127.0.0.1", port, timeout, source_address=(self.source or "127.0.0.1", 0))
        kept[port] = connection
        if not isinstance(body, (bytes, str, type(None))):
            body = json.dumps(body)
        headers = {**({"Content-Type": kind} if body is not None else {}), **({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
        except BROKEN:
            connection.close()
            del kept[port]
            raise
        self.count(answer.status)
        return answer.status

    kept = threading.local()

    def student(self, method, path, body=None, kind="application/json", **kwargs):
        return self.ask(method, path if path.startswith("/") else f"{GROUP}/{path}", body, kind, token=self.target.token, **kwargs)

    # ---- bytes ------------------------------------------------------------------------------------------------

    def throw(self, data, port=None, tls=False, source=None, wait=2.0):
        """Bytes on a connection of their own; the first bytes of the answer."""
        with contextlib.closing(self.open(port or self.target.dashboard, tls, source)) as s:
            s.sendall(addressed(data, s))
            s.settimeout(max(0.05, min(wait, self.left())))
            try:
                answer = s.recv(4096)
            except TimeoutError:
                answer = b"silent"
        self.count(answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/") else (answer[:8] or "closed"))

    def hold(self, count, data, port=None, tls=False, sources=None, drip=b""):
        """So many connections at once, each with these bytes sent and nothing more but a drip a second, until the time is over."""
        held = []
        port = port or self.target.dashboard
        try:
            for number in range(count):
                if not self.on():
                    break
                try:
                    s = self.open(port, tls, sources[number % len(sources)] if sources else None, timeout=2)
                    s.sendall(addressed(data, s))
                    s.setblocking(False)
                    held.append(s)
                except BROKEN as e:
                    self.count(type(e).__name__)
            while self.on():
                time.sleep(min(1, self.left()))
                for s in held if drip else []:
                    with contextlib.suppress(OSError):
                        s.send(drip)
        finally:
            self.count_ends(held)

    def count_ends(self, held):
        for s in held:
            try:
                data = s.recv(64)
                self.count(data[9:12].decode("latin-1") if data.startswith(b"HTTP/") else "closed")
            except BlockingIOError:
                self.count("held")
            except BROKEN as e:
                self.count(type(e).__name__)
            s.close()


HOST = b"@host@"  # becomes the address that the connection goes to


def request(method, path, headers=(), body=b"", length=None):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST.decode()}", *headers]
    if body or length is not None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def addressed(data, s):
    return data.replace(HOST, b"127.0.0.1:%d" % s.getpeername()[1])


# ---- the catalogue ------------------------------------------------------------------------------------------------

CATALOGUE = {}


def attack(function=None, *, source=None):
    """Puts an attack into the catalogue under its function's name; `source` is the address that it comes from."""
    def put(f):
        f.source = source
        CATALOGUE[f.__name__] = f
        return f
    return put(function) if function else put
