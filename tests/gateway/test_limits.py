"""What one address may have of nginx, what nginx itself answers with, and that it never sends anything twice that changes something."""
import contextlib
import pathlib
import select
import signal
import socket
import threading
import time

import pytest

from world import WebSocket, request


class Upstream:
    """In the server's place: reads a request, answers it or closes, and counts what came."""

    def __init__(self, listening):
        self.requests, self.answer, self.listening = [], b"", listening
        self.lock, self.ended = threading.Lock(), False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ended:
            try:
                connection, _ = self.listening.accept()
            except BlockingIOError:
                time.sleep(0.005)
                continue
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        connection.setblocking(True)
        with connection, contextlib.suppress(OSError):
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    got = connection.recv(65536)
                    if not got:
                        return
                    head += got
                with self.lock:
                    self.requests.append(head.split(b" ")[0].decode())
                if not self.answer:
                    return
                connection.sendall(self.answer)

    def stop(self):
        self.ended = True
        self.thread.join()


@pytest.fixture
def upstream(world):
    world.kill_stand()
    fake = Upstream(world.sockets["gateway"])
    try:
        yield fake
    finally:
        fake.stop()
        world.start_stand()
        for name in ("anna", "ben"):
            world.endpoint(name)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize("body", [b"{}", None])
def test_what_changes_something_is_sent_once(world, upstream, method, idle, body):
    """Also where there are idle connections to the server, each of which could turn out dead."""
    if idle:
        upstream.answer = OK
        assert {request(world.dashboard, path="/apis/x").status for _ in range(10)} == {200}
        upstream.requests.clear()
        upstream.answer = b""
    a = request(world.dashboard, method, "/apis/x", body=body)
    assert upstream.requests == [method]
    # A client would send it again by itself where it is told when.
    assert a.status == 503 and "Retry-After" not in a.headers, a
    assert a.json()["reason"] == "ServiceUnavailable" and "look whether this was carried out" in a.json()["message"]
    assert "details" not in a.json()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_reads_is_sent_again(world, upstream, method):
    a = request(world.dashboard, method, "/apis/x")
    assert len(upstream.requests) > 1 and set(upstream.requests) == {method}
    assert a.status == 503 and a.headers["Retry-After"] == "3"
    assert method == "HEAD" or a.json()["details"] == {"retryAfterSeconds": 3}


def test_tickets_are_redeemed_once(world):
    world.kill_stand()
    fake = Upstream(world.sockets["auth"])
    try:
        assert request(world.first, "GET", "/.open-hydra/open?ticket=x").status == 503
        assert fake.requests == ["GET"]
    finally:
        fake.stop()
        world.start_stand()
        for name in ("anna", "ben"):
            world.endpoint(name)


def test_a_server_that_hangs_is_said_at_the_environments(world):
    cookie = {"Cookie": world.cookie("anna", "anna", 0)}
    world.stand.send_signal(signal.SIGSTOP)
    try:
        a = request(world.first, headers=cookie, timeout=9)
        assert a.status == 503 and a.headers["Retry-After"] == "3" and "服务暂时不可用" in a.body.decode()
    finally:
        world.stand.send_signal(signal.SIGCONT)
    assert request(world.first, headers=cookie).status == 200


# --- What nginx answers by itself ---


def raw(port, text, tls=None):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        with (tls.wrap_socket(s, server_hostname="127.0.0.1") if tls else contextlib.nullcontext(s)) as c:
            c.sendall(text)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while got := c.recv(65536):
                    answer += got
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


def check_status(answer, code, reason):
    import json
    status, head, body = answer
    assert status == code and "content-type: application/json" in head.lower(), (head, body)
    status = json.loads(body)
    assert status["kind"] == "Status" and status["code"] == code and status["reason"] == reason and status["message"], status


LARGE = b"x" * 9000
MANY = b"".join(b"X-%d: %s\r\n" % (i, b"x" * 5000) for i in range(6))


@pytest.mark.parametrize("api", [False, True])
@pytest.mark.parametrize("text, code, reason", [
    (b"nonsense\r\n\r\n", 400, "BadRequest"),
    (b"GET /apis/x HTTP/1.1\r\n\r\n", 400, "BadRequest"),
    (b"GET /apis/x HTTP/1.1\r\nHost: h\r\nContent-Length: none\r\n\r\n", 400, "BadRequest"),
    (b"GET /apis/" + LARGE + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, "BadRequest"),
    (b"GET /apis/x HTTP/1.1\r\nHost: h\r\nCookie: " + LARGE + b"\r\n\r\n", 431, "BadRequest"),
    (b"GET /apis/x?a=1 HTTP/1.1\r\nHost: h\r\n" + MANY + b"\r\n", 431, "BadRequest"),
    (b"POST /apis/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3145729\r\n\r\n", 413, "RequestEntityTooLarge"),
])
def test_refusals_are_in_the_form_of_the_api(world, api, text, code, reason):
    if api:
        from test_dashboard import context
        check_status(raw(world.api, text, context(world)), code, reason)
    else:
        check_status(raw(world.dashboard, text), code, reason)


def test_plain_http_at_the_port_of_the_api(world):
    check_status(raw(world.api, b"GET /apis/x HTTP/1.1\r\nHost: h\r\n\r\n"), 400, "BadRequest")


def test_pages_get_pages(world):
    status, head, body = raw(world.dashboard, b"GET / HTTP/1.1\r\nHost: h\r\nCookie: " + LARGE + b"\r\n\r\n")
    assert status == 431 and "Clear-Site-Data" in head and "<html" in body.decode()


def test_headers_that_fit(world):
    """An address and headers of what nginx lets through are more than nothing to the server: it answers them itself."""
    for path, port in ((f"/apis/{'x' * 7000}", world.dashboard), (f"/{'x' * 7000}", world.first)):
        headers = {"Accept": "x" * 7000, "Cookie": "y=" + "z" * 7000}
        a = request(port, path=path, headers=headers)
        assert a.status in (200, 401, 403), a


def test_more_cookies_than_browsers_send(world):
    """Each would be a record in a connection's memory (http.h, HTTP_COOKIES): the server reads them all the same."""
    from test_dashboard import context
    cookies = "a=b; " * 1500
    a = request(world.dashboard, path="/apis/x", headers={"Cookie": cookies, "X-Original-Cookie": "spoofed"})
    assert a.status == 200 and a.json()["X-Original-Cookie"].strip() == cookies.strip() and "Cookie" not in a.json()
    assert request(world.first, headers={"Cookie": cookies}).status == 401
    a = request(world.api, path="/apis/x", headers={"Cookie": cookies, "X-Original-Cookie": "spoofed"}, tls=context(world))
    assert a.status == 200 and not {"Cookie", "X-Original-Cookie"} & set(a.json())


@pytest.mark.parametrize("size, code", [(16384, 401), (16385, 413)])
def test_bodies_of_logins_are_small(world, size, code):
    body = b'{"username":"nobody","password":"x"}'.ljust(size)
    a = request(world.dashboard, "POST", "/auth/login", {"Origin": f"http://127.0.0.1:{world.dashboard}",
                                                         "Content-Type": "application/json"}, body)
    assert a.status == code and a.json()["code"] == code, a


def test_bodies_stay_on_no_disk(world):
    """Neither whole ones nor those that do not come to an end."""
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            s = stack.enter_context(socket.create_connection(("127.0.0.1", world.dashboard), timeout=20))
            s.sendall(b"POST /apis/x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 2_000_000)
        assert request(world.dashboard, "POST", "/apis/x", body=b"x" * (3 << 20)).json()["body"] == 3 << 20
        for folder in ("body", "proxy"):
            assert not [p for p in (world.folder / "nginx" / folder).rglob("*") if p.is_file()]


# --- What one address may have. Of 1,984 connections of a worker: 372 requests, half of it for an address; without a login an eighth for
# an address and a quarter for all. ---

ALL, ADDRESS, STRANGERS, STRANGER, ENVIRONMENT = 372, 186, 93, 46, 46


class Unfinished:
    """A request whose body does not come to an end."""

    def __init__(self, world, address, credential):
        self.port, self.address, self.credential = world.dashboard, address, credential
        self.open()

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), 20, (self.address, 0))
        self.socket.sendall(f"POST /apis/x HTTP/1.1\r\nHost: h\r\n{self.credential}Content-Length: 10\r\n\r\nx".encode())

    def answer(self):
        return self.socket.recv(4096, socket.MSG_PEEK) if select.select([self.socket], [], [], 0)[0] else None

    def open_again(self):
        """Where it was refused: one that has ended may be counted for a moment more, and what asks meanwhile may come first."""
        refused = (self.answer() or b"").startswith(b"HTTP/1.1 429")
        if refused:
            self.socket.close()
            self.open()
        return refused


held = []


@contextlib.contextmanager
def unfinished(world, count, address="127.0.0.1", credential=""):
    mine = [Unfinished(world, address, credential) for _ in range(count)]
    held.extend(mine)
    try:
        yield
        assert not [a for one in mine if (a := one.answer())], "an unfinished request was answered"
    finally:
        for one in mine:
            held.remove(one)
            one.socket.close()


def ask(world, address="127.0.0.1", credential="", path="/apis/x", port=None):
    with socket.create_connection(("127.0.0.1", port or world.dashboard), 20, (address, 0)) as s:
        host = f"127.0.0.1:{port or world.dashboard}"
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{credential}Connection: close\r\n\r\n".encode())
        answer = b""
        while got := s.recv(65536):
            answer += got
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


def until(status, *args, **kwargs):
    """nginx takes notice of a connection, and of its end, a moment after it was made."""
    deadline = time.monotonic() + 9  # less than nginx waits for a body
    while ((answer := ask(*args, **kwargs))[0] != status) | any([one.open_again() for one in held]):
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)
    return answer


def administrator(world):
    from test_dashboard import context
    c = context(world)
    files = [world.folder / "admin.crt", world.folder / "admin.key"]
    if not files[0].exists():
        import base64
        import re
        world.tell("kubeconfig", world.folder / "pki", f"https://127.0.0.1:{world.api}", world.folder / "kubeconfig")
        text = (world.folder / "kubeconfig").read_text()
        for file, name in zip(files, ("certificate", "key")):
            file.write_bytes(base64.b64decode(re.search(rf'client-{name}-data"?: "?([^\s"]+)', text).group(1)))
    c.load_cert_chain(*files)
    return request(world.api, path="/apis/x", tls=c).status


SOME = "Authorization: Bearer x\r\n"


def test_strangers_of_one_address(narrow):
    with unfinished(narrow, STRANGER - 1):
        until(200, narrow)  # all that are held are counted, and nothing of the test before any more
        assert ask(narrow)[0] == 200
        with unfinished(narrow, 1):
            answer = until(429, narrow)
            check_status(answer, 429, "TooManyRequests")
            assert "Retry-After: 3" in answer[1]
            # Who shows something, another address, pages, and administrators.
            assert ask(narrow, credential=SOME)[0] == 200
            assert ask(narrow, credential="X-Open-Hydra-Session-Key: x\r\n")[0] == 200
            assert ask(narrow, credential="Open-Hydra-Auth: x\r\n")[0] == 200
            assert ask(narrow, "127.0.0.2")[0] == 200
            assert ask(narrow, path="/assets/app-1a2b.js")[0] == 200
            assert administrator(narrow) == 200
    until(200, narrow)


def test_all_strangers(narrow):
    with unfinished(narrow, STRANGER), unfinished(narrow, STRANGER, "127.0.0.2"), unfinished(narrow, 1, "127.0.0.3"):
        check_status(until(429, narrow, "127.0.0.4"), 429, "TooManyRequests")
        assert ask(narrow, "127.0.0.4", SOME)[0] == 200
        assert administrator(narrow) == 200
    until(200, narrow, "127.0.0.4")


def test_one_address(narrow):
    """Whatever is shown as a credential, right or not."""
    with unfinished(narrow, ADDRESS - 1, credential=SOME):
        until(200, narrow, credential=SOME)
        assert ask(narrow, credential=SOME)[0] == 200
        with unfinished(narrow, 1, credential=SOME):
            check_status(until(429, narrow, credential=SOME), 429, "TooManyRequests")
            status, head, body = ask(narrow, path="/")
            assert status == 429 and "Retry-After: 3" in head and "请求过多" in body.decode()
            assert ask(narrow, "127.0.0.2", SOME)[0] == 200
            assert administrator(narrow) == 200
    until(200, narrow, credential=SOME)


def test_all_addresses(narrow):
    with unfinished(narrow, ADDRESS, credential=SOME), unfinished(narrow, ADDRESS, "127.0.0.2", SOME):
        until(429, narrow, "127.0.0.3", SOME)
        assert administrator(narrow) == 200
    until(200, narrow, "127.0.0.3", SOME)


@pytest.fixture
def class_of_six(narrow):
    """Cookies of six environments, by their ports."""
    for index, name in enumerate(("anna", "ben", "carl", "dora", "emil", "fay")):
        if name not in narrow.environments:
            narrow.user(name)
            narrow.device(name, name, index)
            narrow.environment(name)
            narrow.endpoint(name)
    return {narrow.first + i: narrow.cookie(name, name, i) for i, name in enumerate(list(narrow.environments)[:6])}


def open_socket(port, cookie):
    """Those of the test before may be counted for a moment more."""
    deadline = time.monotonic() + 20
    while (one := WebSocket(port, Cookie=cookie)).status == 429:
        one.close()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert one.status == 101
    return one


def open_sockets(stack, port, cookie, count):
    for _ in range(count):
        one = open_socket(port, cookie)
        stack.callback(one.close)
    return one


def test_one_environment_of_one_address(narrow, class_of_six):
    """Who holds all that go to the own one is in nobody's way."""
    (port, cookie), (other, others), *_ = class_of_six.items()
    with contextlib.ExitStack() as stack:
        open_sockets(stack, port, cookie, ENVIRONMENT - 1)
        assert ask(narrow, credential=f"Cookie: {cookie}\r\n", port=port)[0] == 200
        last = open_sockets(stack, port, cookie, 1)
        until(429, narrow, credential=f"Cookie: {cookie}\r\n", port=port)
        assert ask(narrow, credential=f"Cookie: {others}\r\n", port=other)[0] == 200
        assert ask(narrow, "127.0.0.2", port=port)[0] != 429
        assert last.echo("still") == "still"
    until(200, narrow, credential=f"Cookie: {cookie}\r\n", port=port)


def test_environments_of_one_address(narrow, class_of_six):
    *most, (port, cookie) = class_of_six.items()
    line = f"Cookie: {cookie}\r\n"
    with contextlib.ExitStack() as stack:
        for i in range(ADDRESS - 1):
            open_sockets(stack, *most[i % len(most)], 1)
        assert ask(narrow, credential=line, port=port)[0] == 200
        last = open_sockets(stack, port, cookie, 1)
        status, head, body = until(429, narrow, credential=line, port=port)
        assert "Retry-After: 3" in head and "请求过多" in body.decode()
        # It is no way around the checks, nor the dashboard's business; those that are open go on.
        assert ask(narrow, port=port)[0] == 429
        assert ask(narrow, "127.0.0.2", port=port)[0] != 429
        assert ask(narrow)[0] == 200
        assert last.echo("still") == "still"
    until(200, narrow, credential=line, port=port)


def test_vanished_peers_are_asked_for(world):
    """Within 105 seconds: of each accepted connection, the kernel's timer (proc_net_tcp: 02 is keep-alive, hundredths of a second)."""
    for port in (world.dashboard, world.api, world.first, world.first + 1):
        with socket.create_connection(("127.0.0.1", port), timeout=20):
            rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
            timers = [row[5] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"]
            assert timers and all(t.startswith("02:") and int(t[3:], 16) <= 4500 for t in timers), timers
