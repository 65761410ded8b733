"""Peers that vanish are given back: by keep-alive probes where nothing is to be sent, by a timeout where something is."""
import ctypes
import errno
import os
import pathlib
import socket

import pytest

from support.instance import wait_until
from support.processes import children

PIDFD_GETFD = 438
TCP_USER_TIMEOUT = 18

pytestmark = pytest.mark.root


def sockets_of(pid, port):
    """Copies of that process's sockets at that port. It goes on meanwhile, and may close any of them."""
    libc, pidfd, found = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid), []
    for name in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        fd = libc.syscall(PIDFD_GETFD, pidfd, int(name.name), 0)
        if fd < 0:
            assert ctypes.get_errno() == errno.EBADF
            continue
        if not os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
            os.close(fd)
            continue
        s = socket.socket(fileno=fd)
        if s.family == socket.AF_INET and s.getsockname()[1] == port:
            found.append(s)
        else:
            s.close()
    os.close(pidfd)
    return found


def peer(s):
    try:
        return s.getpeername()
    except OSError as e:
        assert e.errno == errno.ENOTCONN  # Listens, or has been left.
        return None


def accepted(hydra, port, client):
    return [s for pid in children(hydra.child("nginx")) for s in sockets_of(pid, port) if peer(s) == client.getsockname()]


def check(hydra, port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        s = wait_until(lambda: accepted(hydra, port, client), what="nginx's end")[0]
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, every, count = (s.getsockopt(socket.IPPROTO_TCP, o)
                              for o in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT))
        assert idle + every * count == 105
        assert s.getsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT) == 105000


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_every_port_gives_vanished_peers_back(fresh):
    ports = [fresh.dashboard_port, fresh.api_port, *fresh.environment_ports]
    for port in ports:
        check(fresh, port)
    # And after the gateway was started again.
    before = fresh.child("nginx")
    os.kill(before, 9)
    wait_until(lambda: fresh.child("nginx") not in (None, before), what="another nginx")
    wait_until(lambda: all(listens(port) for port in ports), what="its ports")
    for port in ports:
        check(fresh, port)
    fresh.stop()
    assert "inherited" not in fresh.output() and "Address already in use" not in fresh.output()
