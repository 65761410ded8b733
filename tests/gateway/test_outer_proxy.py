"""Behind a school's own proxy, which ends TLS: by which address everything is reached, and whose word is taken for where a client is."""
import json
import os

import pytest

from support.outer import KINDS, NAME, Outer
from world import NAVIGATE, WebSocket, World, arrange, request

TRUSTED = "trustedProxies: [127.0.0.1]\n"
CLIENT, OTHER = "127.0.0.9", "127.0.0.10"
FIREFOX = {"User-Agent": "Firefox"}


def by_port(w):
    return f"publicAddress: https://{NAME}:{w.dashboard}\nenvironmentPublicAddress: https://{NAME}:{{port}}\n{TRUSTED}"


def by_name(w):
    return f"publicAddress: https://{NAME}:{w.dashboard}\nenvironmentPublicAddress: https://env-{{port}}.{NAME}:{w.dashboard}\n{TRUSTED}"


class School:
    def __init__(self, world, outer, named):
        self.world, self.outer, self.ask = world, outer, outer.ask
        self.dashboard = f"https://{NAME}:{world.dashboard}"
        self.environments = [f"https://env-{p}.{NAME}:{world.dashboard}" if named else f"https://{NAME}:{p}" for p in (world.first, world.first + 1)]

    def enter(self, source=CLIENT):
        """Anna's browser comes in by a ticket; the headers that it sends from then on."""
        url = self.world.ticket("anna", "anna")
        assert url.startswith(self.environments[0] + "/")
        status, headers, _ = self.ask(url, headers=FIREFOX, source=source)
        assert status == 302 and headers["Location"] == self.environments[0] + "/"
        cookie = headers["Set-Cookie"]
        assert cookie.startswith("__Host-Http-open-hydra-env-") and "; Secure" in cookie
        return {"Cookie": cookie.split(";")[0], **FIREFOX}


@pytest.fixture(scope="module", params=[f"{kind}-{way}" for kind in KINDS for way in ("ports", "names")])
def school(request):
    kind, way = request.param.split("-")
    w = World(by_name if way == "names" else by_port)
    try:
        arrange(w)
        ports = [(None, f"{w.first}-{w.dashboard}", None)]
        # However many environments there are, the proxy needs two rules.
        names = [(NAME, w.dashboard, w.dashboard), (f"*.{NAME}", w.dashboard, w.first + 3)]
        with Outer(kind, names if way == "names" else ports) as outer:
            yield School(w, outer, way == "names")
    finally:
        w.close()


def test_the_dashboard_is_there(school):
    status, headers, body = school.ask(school.dashboard + "/devices?x=1")
    assert status == 200 and b"dashboard" in body
    wanted = f"https://*.{NAME}:{school.world.dashboard}" if "env-" in school.environments[0] else f"https://{NAME}:*"
    assert f"connect-src 'self' {wanted};" in headers["Content-Security-Policy"]
    # Who comes around the proxy is led to it.
    a = request(school.world.dashboard, path="/devices?x=1", source=CLIENT)
    assert a.status == 307 and a.headers["Location"] == school.dashboard + "/devices?x=1"
    assert school.ask(school.dashboard.replace(NAME, f"other.{NAME}") + "/")[0] == 403


@pytest.mark.parametrize("claimed", [None, "1.2.3.4", "127.0.0.1", "1.2.3.4, 127.0.0.1", "unknown", "::1", "x" * 300])
def test_a_client_cannot_say_where_it_is(school, claimed):
    spoofed = {"X-Forwarded-For": claimed, "X-Real-IP": claimed, "Forwarded": f"for={claimed}"} if claimed else {}
    got = json.loads(school.ask(school.dashboard + "/apis/x", headers=spoofed, source=CLIENT)[2])
    assert got["X-Real-IP"] == got["X-Forwarded-For"] == CLIENT
    assert got["X-Forwarded-Proto"] == "https" and got["X-Open-Hydra-Listener"] == "dashboard"
    assert got["Host"] == f"{NAME}:{school.world.dashboard}" and "Forwarded" not in got


def test_an_environment_is_reached(school):
    w, (own, other) = school.world, school.environments
    status, headers, _ = school.ask(own + "/lab?x=1", headers=NAVIGATE, source=CLIENT)
    assert status == 302 and headers["Location"].startswith(school.dashboard + "/open?to=https%3A%2F%2F")
    anna = school.enter()
    status, headers, body = school.ask(own + "/lab", headers=anna, source=CLIENT)
    assert status == 200 and body == b"environment"
    seen = w.environments["anna"].seen[-1].headers
    assert seen["Host"] == own.split("//")[1] and seen["X-Forwarded-Proto"] == "https" and seen["Authorization"] == "token token-anna"
    assert "X-Forwarded-For" not in seen and "X-Real-IP" not in seen and CLIENT not in str(seen)
    assert school.ask(other + "/", headers=anna, source=CLIENT)[0] == 401


def test_only_the_own_page_does_anything(school):
    (own, other), anna = school.environments, school.enter()
    for origin, wanted in ((own, 200), (other, 403), (school.dashboard, 403), (own.replace("https", "http"), 403), ("null", 403)):
        assert school.ask(own + "/api", "POST", {**anna, "Origin": origin}, b"{}", CLIENT)[0] == wanted, origin


def test_a_websocket(school):
    (own, other), anna = school.environments, school.enter()
    for origin, wanted in ((own, 101), (other, 403)):
        ws = WebSocket(0, connection=school.outer.connect(own, CLIENT), **{**anna, "Host": own.split("//")[1], "Origin": origin})
        assert ws.status == wanted
        if wanted == 101:
            assert ws.echo("hello") == "hello"
        ws.close()


def test_a_pass_is_for_the_client_behind_the_proxy(school):
    own, anna = school.environments[0], school.enter()
    assert school.ask(own + "/", headers=anna, source=CLIENT)[0] == 200
    assert school.ask(own + "/", headers=anna, source=OTHER)[0] == 401
    assert school.ask(own + "/", headers={**anna, "X-Forwarded-For": CLIENT}, source=OTHER)[0] == 401


def test_a_pass_does_not_go_around_the_proxy(school):
    """Whoever is at an address of a trusted proxy is believed; on this machine the kernel knows that it is somebody else."""
    if school.outer.kind != "nginx" or os.geteuid() != 0:
        pytest.skip("the proxy is the test's own user")
    own, anna, w = school.environments[0], school.enter(), school.world
    around = {**anna, "X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https"}
    assert request(w.first, headers=around, host=own.split("//")[1]).status == 401
    assert request(w.first, headers=around, host=own.split("//")[1], source=CLIENT).status == 401
    assert school.ask(own + "/", headers=anna, source=CLIENT)[0] == 200


# --- without a real one: what a trusted address says, word by word ---
@pytest.fixture(scope="module")
def trusting():
    w = World(lambda w: by_port(w).replace(TRUSTED, "trustedProxies: [127.0.0.1, 127.0.0.16/28]\n"))
    try:
        arrange(w)
        yield w
    finally:
        w.close()


def address(w, source="127.0.0.1", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(w.dashboard, path="/apis/x", host=f"{NAME}:{w.dashboard}", headers=headers, source=source).json()


@pytest.mark.parametrize("said, understood", [
    ("192.0.2.7", "192.0.2.7"), ("2001:db8::7", "2001:db8::7"), ("[2001:db8::7]:4711", "2001:db8::7"), ("192.0.2.7:4711", "192.0.2.7"),
    ("6.6.6.6, 192.0.2.7", "192.0.2.7"), ("6.6.6.6,192.0.2.7 ", "192.0.2.7"),
    # A chain of two of theirs.
    ("6.6.6.6, 192.0.2.7, 127.0.0.17", "192.0.2.7"), ("127.0.0.17", "127.0.0.17"),
    # What is no address is none: then it is the proxy's own.
    ("", "127.0.0.1"), ("unknown", "127.0.0.1"), ("192.0.2.7, unknown", "127.0.0.1"), ("192.0.2.7, 999.1.1.1", "127.0.0.1"), ("a\tb", "127.0.0.1"),
])
def test_the_last_that_is_no_proxy_is_the_client(trusting, said, understood):
    got = address(trusting, X_Forwarded_For=said)
    assert got["X-Real-IP"] == got["X-Forwarded-For"] == understood


@pytest.mark.parametrize("source", ["127.0.0.2", "127.0.0.15", "127.0.0.32"])
def test_nobody_else_is_believed(trusting, source):
    got = address(trusting, source, X_Forwarded_For="192.0.2.7", X_Forwarded_Proto="https", Forwarded="for=192.0.2.7", X_Real_IP="192.0.2.7")
    assert got["X-Real-IP"] == got["X-Forwarded-For"] == source and got["X-Forwarded-Proto"] == "http"
    # Nor who calls itself so.
    said = ("trustedhttps", "trusted https", "trusted", " trusted https")
    assert {address(trusting, source, X_Forwarded_Proto=p)["X-Forwarded-Proto"] for p in said} == {"http"}


def test_by_which_scheme_the_client_came(trusting):
    w, host = trusting, f"{NAME}:{trusting.dashboard}"
    assert [address(w, X_Forwarded_Proto=p)["X-Forwarded-Proto"] for p in ("https", "http", "", "gopher", "HTTPS")] == \
        ["https", "http", "https", "https", "https"]
    a = request(w.dashboard, path="/login", host=host, headers={"X-Forwarded-Proto": "http", "X-Forwarded-For": "192.0.2.7"})
    assert a.status == 307 and a.headers["Location"] == f"https://{host}/login"
    environment = f"{NAME}:{w.first}"
    a = request(w.first, path="/lab", host=environment, headers={"X-Forwarded-Proto": "http", **NAVIGATE})
    assert a.status == 302 and a.headers["Location"] == f"https://{environment}/lab"
    assert request(w.first, "POST", "/lab", host=environment, headers={"X-Forwarded-Proto": "http"}, body=b"").status == 403


def test_limits_are_the_clients(other_world):
    """Whoever has all that an address may have takes nothing from another behind the same proxy."""
    w = other_world(by_port, nofile=2048)
    with Outer("nginx", [(None, f"{w.first}-{w.dashboard}", None)]) as outer:
        url, held = f"https://{NAME}:{w.dashboard}/apis/", []
        try:
            def status(source):
                return outer.ask(url + "x", source=source)[0]

            assert status(CLIENT) == 200
            for _ in range(400):
                s = outer.connect(url, CLIENT)
                s.sendall(f"GET /apis/stream HTTP/1.1\r\nHost: {NAME}:{w.dashboard}\r\n\r\n".encode())
                held.append(s)
                if s.recv(12).endswith(b"429"):
                    break
            else:
                pytest.fail("no limit")
            assert len(held) > 10 and status(CLIENT) == 429
            assert status(OTHER) == 200
        finally:
            for s in held:
                s.close()


# --- a proxy that is set up wrongly ---
def test_a_proxy_that_loses_the_host_is_told(other_world):
    """Without a word it would be led to the right address for ever."""
    w = other_world(by_port)
    with Outer("nginx", [(None, f"{w.first}-{w.dashboard}", None)], keep_host=False) as outer:
        for port in (w.dashboard, w.first):
            status, _, body = outer.ask(f"https://{NAME}:{port}/", headers=NAVIGATE)
            assert status in (403, 502) and "Host" in body.decode() and "The proxy is set up wrongly" in body.decode()


def test_plain_http_to_a_port_with_tls_is_told(other_world):
    w = other_world(lambda w: by_port(w) + f"tlsCertificate: {w.folder}/pki/server.crt\ntlsCertificateKey: {w.folder}/pki/server.key\n")
    with Outer("nginx", [(None, f"{w.first}-{w.dashboard}", None)]) as outer:
        for port in (w.dashboard, w.first):
            status, headers, body = outer.ask(f"https://{NAME}:{port}/", headers=NAVIGATE)
            assert status == 502 and "The proxy is set up wrongly" in body.decode() and "Location" not in headers
    with Outer("nginx", [(None, f"{w.first}-{w.dashboard}", None)], scheme="https") as outer:
        assert outer.ask(f"https://{NAME}:{w.dashboard}/")[0] == 200


def test_plain_http_at_the_proxy(other_world):
    w = other_world(by_port)
    with Outer("nginx", [(None, w.first, None)], plain=[(w.dashboard, None)]) as outer:
        status, headers, _ = outer.ask(f"http://{NAME}:{w.dashboard}/devices")
        assert status == 307 and headers["Location"] == f"https://{NAME}:{w.dashboard}/devices"
