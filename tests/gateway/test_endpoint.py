"""Where an environment may be: a socket below our folder, an address of a network that the configuration names, and nowhere else."""
import http.server
import socket
import threading

import pytest
from world import Environment, WebSocket, request

NETWORKS = "environmentNetworks: [127.9.0.0/16, '::1']\n"


@pytest.fixture
def apart(other_world):
    return other_world(NETWORKS)


@pytest.mark.parametrize("host", ["127.9.0.1", "::1"])
def test_an_address(apart, host):
    anna = {"Cookie": apart.cookie("anna", "anna", 0), "Authorization": "token theirs"}
    environment = apart.address("anna", host)
    apart.endpoint("anna", address=environment.url)
    a = request(apart.first, path="/lab%20x/../y?q=%2f", headers=anna)
    assert a.status == 200 and a.body == b"environment"
    seen = environment.seen[-1]
    assert seen.requestline == "GET /lab%20x/../y?q=%2f HTTP/1.1"
    assert seen.headers["Authorization"] == "token token-anna"
    assert seen.headers["Host"] == f"127.0.0.1:{apart.first}" and "Cookie" not in seen.headers
    ws = WebSocket(apart.first, **anna)
    assert ws.status == 101 and ws.echo("hello") == "hello"
    ws.close()
    # Nobody there: as with a socket that nobody listens on.
    apart.environments.pop("anna").close()
    assert request(apart.first, headers=anna).status == 502


def test_without_a_token(world):
    anna = {"Cookie": world.cookie("anna", "anna", 0), "Authorization": "token theirs"}
    try:
        world.endpoint("anna", token="")
        assert request(world.first, headers=anna).status == 200
        assert "Authorization" not in world.environments["anna"].seen[-1].headers
    finally:
        world.endpoint("anna")
    assert request(world.first, headers=anna).status == 200
    assert world.environments["anna"].seen[-1].headers["Authorization"] == "token token-anna"


REFUSED = ["http://127.0.0.1:80", "http://127.8.0.1:80", "http://10.0.0.1:80", "http://[::2]:80", "http://[::ffff:127.0.0.1]:80",
           "http://localhost:80", "http://127.9.0.1", "http://127.9.0.1:0", "http://127.9.0.1:65536", "http://127.9.0.1:80/", "http://127.9.0.1:80:80",
           "http://u@127.9.0.1:80", "http://127.9.1:80", "http://127.9.0.0/16:80", "http://::1:80", "http://[127.9.0.1]:80", "https://127.9.0.1:80",
           "http://[::1%lo]:80", "127.9.0.1:80", "http://", "unix:", "", "/run/s"]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_refused(apart, address):
    with pytest.raises(RuntimeError, match="address"):
        apart.tell("endpoint", "anna", "uid-device-anna", address, "t")


def test_by_default_no_address_at_all(world):
    for address in ("http://127.0.0.1:80", "http://10.42.0.7:8888", "http://192.0.2.1:80"):
        with pytest.raises(RuntimeError, match="environmentNetworks"):
            world.tell("endpoint", "anna", "uid-device-anna", address, "t")


@pytest.mark.parametrize("networks,address", [("0.0.0.0/0", "127.0.0.1"), ("0.0.0.0/0", "169.254.169.254"), ("'::/0'", "::1"), ("'::/0'", "fe80::1"),
                                              ("'::ffff:0:0/96'", "127.0.0.1")])
def test_a_wide_network_is_not_this_machine(other_world, networks, address):
    w = other_world(f"environmentNetworks: [{networks}]\n")
    with pytest.raises(RuntimeError, match="environmentNetworks"):
        w.tell("endpoint", "anna", "uid-device-anna", f"http://[{address}]:80" if ":" in address else f"http://{address}:80", "t")


class TakenOver:
    """Answers nginx's questions with whatever it is told to."""

    def __init__(self, listener: socket.socket):
        self.answer = ""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "nginx"

            def log_message(self, *args):
                pass

            def do_GET(self):
                self.send_response(200)
                self.send_header("X-Open-Hydra-Endpoint", outer.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = listener
        listener.setblocking(True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()


def test_a_server_that_was_taken_over_gains_no_network(apart):
    apart.kill_stand()
    server = TakenOver(apart.sockets["auth"].dup())
    inside, outside = apart.address("inside", "127.9.0.1"), apart.address("outside", "127.0.0.1")
    elsewhere = apart.environments["elsewhere"] = Environment(apart.folder / "elsewhere.sock")
    try:
        for address, is_let_through in ((inside.url, True), (f"unix:{apart.environments['ben'].path}", True), (outside.url, False),
                                        (outside.url.replace("127.0.0.1", "localhost"), False),
                                        (outside.url.replace("127.0.0.1", "127.9.0.1@127.0.0.1"), False),
                                        (outside.url.replace("127.0.0.1", "[::ffff:127.0.0.1]"), False),
                                        (f"known{outside.url}", False), (f"known {outside.url}", False),
                                        (f"unix:{elsewhere.path}", False), (f"unix:{apart.folder}/run/env/../../elsewhere.sock", False),
                                        (f"unix:{apart.environments['ben'].path}:/x", False), ("", False)):
            server.answer = address
            a = request(apart.first)
            assert a.status == (200 if is_let_through else 503), address
        assert len(inside.seen) == 1 and len(apart.environments["ben"].seen) == 1 and outside.seen == elsewhere.seen == []
    finally:
        server.close()
