"""What one caller may have at a time, and that the others are served meanwhile. The bounds themselves: tests/unit/api/test_api_flow.c."""
import contextlib
import http.server
import json
import os
import pathlib
import select
import socket
import socketserver
import threading

import pytest

from support.answers import fresh_name
from support.instance import GROUP, wait_until


class Runner:
    """Answers as the runner does on logs.sock, with what a test wants said; counts the readers that it has."""

    def __init__(self, path):
        self.answer, self.readers, self.lock = (200, b""), 0, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "server"

            def log_message(self, *args):
                pass

            def do_GET(self):
                status, text = outer.answer
                if not self.path.endswith("/healthz") and status == 200:
                    return self.follow(text)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def follow(self, text):
                """Headers at once; then the text, and nothing until the reader goes."""
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                with outer.lock:
                    outer.readers += 1
                with contextlib.suppress(OSError):
                    self.wfile.write(text)
                    if "follow=true" in self.path:
                        self.connection.recv(1)
                with outer.lock:
                    outer.readers -= 1

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(str(path), Handler)
        os.chmod(path, 0o666)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def runner(hydra):
    """In the place of the real one, where the server looks for logs."""
    path = pathlib.Path(hydra.runtime) / "server/logs.sock"
    aside = path.with_suffix(".aside")
    path.rename(aside)
    fake = Runner(path)
    try:
        yield fake
    finally:
        fake.close()
        aside.replace(path)


@pytest.fixture
def students(hydra, imageless):
    """Two, with a device each, logged in."""
    names = [fresh_name("student") for _ in range(2)]
    for name in names:
        hydra.create_user(name)
        hydra.create_device(name, sandboxName=imageless)
    return [(name, hydra.login(name, "password")) for name in names]


def open_log(session, name):
    return session.get(f"devices/{name}/log?follow=true", stream=True, timeout=20)


def read_log(session, name):
    answer = session.get(f"devices/{name}/log")
    assert answer.status_code == 200, answer.text
    return answer.text


def test_log_readers_of_one_student(hydra, runner, students):
    (one, a), (other, b) = students
    with contextlib.ExitStack() as stack:
        # The answer begins although the environment says nothing.
        held = [stack.enter_context(open_log(a, one)) for _ in range(4)]
        assert [answer.status_code for answer in held] == [200] * 4
        refused = open_log(a, one)
        assert refused.status_code == 429 and int(refused.headers["Retry-After"]) >= 1
        status = refused.json()
        assert status["reason"] == "TooManyRequests" and "one user may have 4" in status["message"], status
        runner.answer = (200, b"said\n")
        assert read_log(b, other) == "said\n" and read_log(hydra.admin(), one) == "said\n"
        assert a.get("devices").status_code == 200
    # What their readers left is free again, here and at the runner.
    wait_until(lambda: runner.readers == 0, what="the runner's readers")
    wait_until(lambda: a.get(f"devices/{one}/log").status_code == 200, what="the readers' places")


def test_log_readers_that_leave_before_the_first_byte(hydra, runner, students):
    (one, a), (other, b) = students
    for _ in range(40):
        answer = open_log(a, one)
        assert answer.status_code in (200, 429), answer.text
        answer.close()
    wait_until(lambda: runner.readers == 0, what="the runner's readers")
    runner.answer = (200, b"said\n")
    assert read_log(b, other) == "said\n"
    wait_until(lambda: a.get(f"devices/{one}/log").status_code == 200, what="the readers' places")


def test_all_students_leave_logs_to_the_administrator(hydra, runner, imageless):
    held = []
    with contextlib.ExitStack() as stack:
        for _ in range(12):
            name = fresh_name("student")
            hydra.create_user(name)
            hydra.create_device(name, sandboxName=imageless)
            session = hydra.login(name, "password")
            held += [stack.enter_context(open_log(session, name)) for _ in range(4)]
        assert [answer.status_code for answer in held] == [200] * 48
        late = fresh_name("student")
        hydra.create_user(late)
        hydra.create_device(late, sandboxName=imageless)
        refused = open_log(hydra.login(late, "password"), late)
        assert refused.status_code == 429 and "all users together may have 48" in refused.json()["message"]
        runner.answer = (200, b"said\n")
        assert read_log(hydra.admin(), late) == "said\n"


@pytest.mark.parametrize("said, code, reason, text", [
    ((429, b"too many logs are being read\n"), 429, "TooManyRequests", "the runner: too many logs are being read"),
    ((503, b"the engine is away\n"), 503, "ServiceUnavailable", "the runner: the engine is away"),
    ((500, b"x" * 5000), 503, "ServiceUnavailable", "the runner: " + "x" * 500),
    ((404, b"no such container"), 404, "NotFound", "the environment has no container (yet)"),
])
def test_reason_of_the_runner(runner, students, said, code, reason, text):
    (name, session), _ = students
    runner.answer = said
    answer = session.get(f"devices/{name}/log")
    status = answer.json()
    assert answer.status_code == status["code"] == code and status["reason"] == reason, status
    assert status["message"].startswith(text) and len(status["message"]) < 1000, status
    assert ("Retry-After" in answer.headers) == (code != 404)


def test_no_runner(hydra, students):
    (name, session), _ = students
    path = pathlib.Path(hydra.runtime) / "server/logs.sock"
    aside = path.with_suffix(".aside")
    path.rename(aside)
    try:
        answer = session.get(f"devices/{name}/log")
        assert answer.status_code == 503 and "the runner does not answer" in answer.json()["message"], answer.text
    finally:
        aside.rename(path)


def test_slow_reader_of_a_log(hydra, runner, students):
    """Who takes nothing holds a bounded piece of it, and the next reader all the same gets everything."""
    (one, a), (other, b) = students
    text = b"line\n" * 2_000_000
    runner.answer = (200, text)
    with open_log(a, one) as slow:
        assert slow.status_code == 200
        answer = b.get(f"devices/{other}/log", timeout=60)
        assert answer.status_code == 200 and answer.content == text
        assert runner.readers == 1
    wait_until(lambda: runner.readers == 0, what="the runner's readers")


def test_watches_of_one_student(hydra, students):
    (one, a), (_, b) = students
    held = []
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            answer = stack.enter_context(a.get("devices?watch=true&allowWatchBookmarks=true", stream=True, timeout=20))
            assert answer.status_code == 200
            held.append(answer.iter_lines())
            assert next(held[-1])
        refused = a.get("devices?watch=true")
        assert refused.status_code == 429 and refused.headers["Retry-After"]
        assert "too many watches: one user may have 64" in refused.json()["message"]
        # By whichever kind, and with another session of the same user.
        again = hydra.login(one, "password")
        assert again.get("sandboxes?watch=true", timeout=20).status_code == 429
        for other in (b, hydra.admin()):
            with other.get("devices?watch=true&allowWatchBookmarks=true", stream=True, timeout=20) as watch:
                assert watch.status_code == 200 and next(watch.iter_lines())
        assert a.get("devices").status_code == 200 and a.get("/auth/session").status_code == 200
    wait_until(lambda: a.get("devices?watch=true&timeoutSeconds=1").status_code == 200, what="places of watches")


# --- Bodies ---


def begin(hydra, path, length, headers="", address="127.0.0.1", sent=b""):
    """A request whose body is announced, and sent as far as said."""
    s = socket.create_connection(("127.0.0.1", hydra.dashboard_port), 30, (address, 0))
    s.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{hydra.dashboard_port}\r\nContent-Type: application/json\r\n"
              f"{headers}Content-Length: {length}\r\n\r\n".encode() + sent)
    return s


def answer_of(s):
    head, _, body = s.recv(65536).partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), json.loads(body or s.recv(65536))


def is_silent(sockets):
    return not select.select(sockets, [], [], 0)[0]


def bearer(hydra, name):
    answer = hydra.visitor().post("/auth/login", json={"username": name, "password": "password", "bearer": True})
    return f"Authorization: Bearer {answer.json()['token']}\r\n"


DEVICES = f"{GROUP}/devices"


def test_nobody_writes_nothing(hydra):
    """Said before the body comes."""
    with begin(hydra, DEVICES, 3_000_000) as s:
        code, head, status = answer_of(s)
        assert code == 401 and status["reason"] == "Unauthorized"
    with begin(hydra, DEVICES, 3_000_000, "Authorization: Bearer nonsense\r\n") as s:
        assert answer_of(s)[0] == 401
    # Also to those who send all of it before they look.
    for size in (20_000, 300_000, 3_000_000) * 5:
        answer = hydra.visitor().post(DEVICES, data=b"x" * size, headers={"Content-Type": "application/json"})
        assert answer.status_code == 401 and answer.json()["reason"] == "Unauthorized", answer.text


def test_unfinished_bodies_of_one_student(hydra, students):
    (one, a), (other, b) = students
    mine, size = bearer(hydra, one), 3 << 20
    with begin(hydra, DEVICES, size, mine) as first, begin(hydra, DEVICES, size, mine) as second:
        with begin(hydra, DEVICES, 2 << 20, mine) as third:
            # 8 MiB, to the byte. None of them is answered.
            assert not select.select([first, second, third], [], [], 3)[0]
            assert answer_of(begin(hydra, DEVICES, 4097, mine))[0] == 429
            code, head, status = answer_of(begin(hydra, DEVICES, size, mine))
            assert code == 429 and "Retry-After: 1" in head and status["code"] == 429
            assert "one user may have 8388608" in status["message"]
            for session, name in ((a, one), (b, other)):
                answer = session.post(f"devices/{name}/ticket", json={})
                assert answer.status_code != 429, answer.text
            box = {"metadata": {"name": fresh_name("box"), "annotations": {"x": "y" * 100_000}},
                   "spec": {"cpuImageName": "localhost/a:b"}}
            assert hydra.admin().post("sandboxes", json=box).status_code == 201
            with begin(hydra, DEVICES, size, bearer(hydra, other)) as another:
                assert is_silent([first, second, third, another])
        def again():
            with begin(hydra, DEVICES, 2 << 20, mine) as s:
                return is_silent([s]) and not select.select([s], [], [], 0.2)[0]
        wait_until(again, what="what was given up")


def test_unfinished_logins_of_one_address(hydra, students):
    (one, _), _ = students
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(begin(hydra, "/auth/login", 16384, sent=b"{")) for _ in range(256)]
        assert not select.select(held, [], [], 3)[0]
        assert answer_of(begin(hydra, "/auth/login", 16384))[0] == 429
        assert answer_of(begin(hydra, DEVICES, 100_000, "Open-Hydra-Auth: Bearer eDp5\r\n"))[0] == 429
        # A login as it is is small, and passes, also at that address.
        hydra.login(one, "password")
        with begin(hydra, "/auth/login", 16384, address="127.0.0.2") as another:
            assert not select.select([another], [], [], 0.3)[0]
        # Nobody has all the time of the world: each is told so, and those that are in time are served.
        assert answer_of(held[0])[0] == 408
        wait_until(lambda: not is_silent(held[-1:]), 60, what="the end of the last one")
        assert answer_of(held[-1])[2]["reason"] == "Timeout"
