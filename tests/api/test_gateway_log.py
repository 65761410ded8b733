"""What strangers make nginx say: in our log it steers no terminal, betrays no ticket, and does not fill it."""
import socket

from support.instance import wait_until


def refused(hydra, path, referer):
    """A body too large for a login: nginx says so, with request and referrer."""
    with socket.create_connection(("127.0.0.1", hydra.dashboard_port), timeout=20) as s:
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\nReferer: ".encode() + referer + b"\r\n\r\n")
        assert b" 413 " in s.recv(4096)


def test_what_strangers_make_nginx_say(fresh):
    said = lambda: [line for line in fresh.lines if "too large body" in line]  # noqa: E731
    refused(fresh, "/auth/login?ticket=SECRET", b"http://x/\x1b]0;TITLE\x07\x1b[31m\xc2\x9b31m\xe2\x80\xae\x80?ticket=SECRET")
    wait_until(said, what="the line")
    assert "gateway: nginx: [error]" in said()[0] and "TITLE" in said()[0] and "/auth/login?" in said()[0]
    text = "".join(fresh.lines)
    assert "SECRET" not in text
    assert not [c for c in text if c != "\n" and (ord(c) < 32 or 0x7f <= ord(c) <= 0x9f or c in "\u202e\ufffd")]

    for i in range(200):
        refused(fresh, "/auth/login", b"http://x/" + b"x" * 1500)
    fresh.stop()
    lines = said()
    assert 10 < len(lines) < 60 and max(map(len, lines)) < 700, len(lines)


def test_everyday_life_is_silent(fresh):
    """Bodies, clients that go, refusals of our own."""
    before = len(fresh.lines)
    visitor = fresh.visitor()
    assert visitor.post("/apis/x", data=b"x" * (1 << 20)).status_code in (401, 404)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", fresh.dashboard_port), timeout=20) as s:
            s.sendall(b"POST /apis/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 100000)
        with socket.create_connection(("127.0.0.1", fresh.dashboard_port), timeout=20) as s:
            s.sendall(b"nonsense\r\n\r\n")
            assert b" 400 " in s.recv(4096)
    assert visitor.get("/auth/session").status_code == 200
    fresh.stop()
    assert not [line for line in fresh.lines[before:] if "nginx" in line]
