"""Bodies that are taken as they come, through a real nginx: to a file, with a bounded piece of memory, and noticed when their sender goes."""
import json
import os
import socket
import time

import pytest
from support.processes import forget_peak, peak

GIB = 1 << 30
PIECE = bytes(1 << 20)


@pytest.fixture
def uploads(other_world, monkeypatch):
    """No limit on bodies, and of what the address sanitizer keeps back of freed memory."""
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
    w = other_world()
    conf = w.folder / "nginx/nginx.conf"
    text = conf.read_text()
    assert "client_max_body_size 3m;" in text
    conf.write_text(text.replace("client_max_body_size 3m;", "client_max_body_size 0;"))
    w.nginx.terminate()
    w.nginx.wait(20)
    w.start_nginx()
    w.file = w.folder / "uploaded"
    w.tell("upload", w.file)
    return w


def begin(w, length):
    c = socket.create_connection(("127.0.0.1", w.dashboard), timeout=60)
    c.sendall(f"POST /apis/upload HTTP/1.1\r\nHost: 127.0.0.1:{w.dashboard}\r\nContent-Length: {length}\r\n\r\n".encode())
    return c


def answer(c):
    c.settimeout(120)
    text = b""
    while b"\r\n\r\n" not in text or not text.rstrip().endswith(b"}"):
        piece = c.recv(4096)
        assert piece, text
        text += piece
    head, _, body = text.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body[body.index(b"{"):body.rindex(b"}") + 1])


def send_zeros(c, n):
    for _ in range(n // len(PIECE)):
        c.sendall(PIECE)


@pytest.mark.root
def test_two_gigabytes_in_eight_megabytes(uploads):
    w = uploads
    # The first fills what the address sanitizer's allocator keeps for itself: without it 2 GiB take 0.7 MiB from the start.
    warm = begin(w, GIB // 4)
    send_zeros(warm, GIB // 4)
    assert answer(warm) == (201, {"bytes": GIB // 4})
    warm.close()
    processes = [w.stand.pid, *w.workers()]
    before = {pid: forget_peak(pid) for pid in processes}
    c = begin(w, 2 * GIB)
    c.sendall(b"begin")
    send_zeros(c, 2 * GIB - len(PIECE))
    c.sendall(PIECE[8:] + b"end")
    assert answer(c) == (201, {"bytes": 2 * GIB})
    more = sum(peak(pid) - before[pid] for pid in processes)
    print(f"{more} KiB more in all processes")
    assert more < 8 << 10
    with open(w.file, "rb") as f:
        assert f.read(6) == b"begin\0"
        f.seek(-4, 2)
        assert f.read() == b"\0end"
        assert f.tell() == 2 * GIB
    c.close()


def test_who_sends_and_goes(uploads):
    w = uploads
    c = begin(w, GIB)
    send_zeros(c, 20 << 20)
    c.close()
    deadline = time.monotonic() + 20
    while w.tell("uploads-cut") != "1":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_in_chunks_and_plain_ones_after(uploads):
    w = uploads
    c = socket.create_connection(("127.0.0.1", w.dashboard), timeout=60)
    c.sendall(f"POST /apis/upload HTTP/1.1\r\nHost: 127.0.0.1:{w.dashboard}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for _ in range(20):
        c.sendall(b"100000\r\n" + PIECE + b"\r\n")
    c.sendall(b"0\r\n\r\n")
    assert answer(c) == (201, {"bytes": 20 << 20})
    c.sendall(f"POST /apis/echo HTTP/1.1\r\nHost: 127.0.0.1:{w.dashboard}\r\nContent-Length: 5\r\n\r\nhello".encode())
    status, body = answer(c)
    assert (status, body["body"]) == (200, 5)
    c.close()
