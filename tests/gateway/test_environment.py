"""What reaches an environment, what comes back from it, and who is let in, through a real nginx."""
import os
import re
import socket
import subprocess
import threading
import time

import pytest
from world import NAVIGATE, WebSocket, request

A, B = 0, 1


@pytest.fixture
def anna(world):
    return {"Cookie": world.cookie("anna", "anna", A)}


def last(world, device="anna"):
    return world.environments[device].seen[-1]


# --- who is let in ---
def test_nobody_is_let_in(world):
    seen = len(world.environments["anna"].seen)
    assert request(world.first).status == 401
    assert request(world.first, "POST").status == 401
    a = request(world.first, path="/lab/tree?x=1", headers=NAVIGATE)
    assert a.status == 302
    assert a.headers["Location"] == (f"http://127.0.0.1:{world.dashboard}/open?to="
                                     f"http%3A%2F%2F127.0.0.1%3A{world.first}%2Flab%2Ftree%3Fx%3D1")
    assert WebSocket(world.first).status == 401
    assert len(world.environments["anna"].seen) == seen


def test_owner_and_teacher_are_let_in(world, anna):
    assert request(world.first, headers=anna).body == b"environment"
    assert request(world.first, headers={"Cookie": world.cookie("anna", "teacher", A, role=1)}).status == 200
    with pytest.raises(RuntimeError, match="not yours"):
        world.ticket("anna", "ben")


def test_administrator_with_certificate_is_let_in(world):
    assert request(world.first, headers={"Cookie": world.cookie("anna", "open-hydra-admin", A, role=1)}).status == 200


def test_cookie_is_for_one_port(world, anna):
    assert request(world.first + B, headers=anna).status == 401
    renamed = anna["Cookie"].replace(f"-{world.first}=", f"-{world.first + B}=")
    assert request(world.first + B, headers={"Cookie": renamed}).status == 401
    assert request(world.first, headers={"Cookie": anna["Cookie"][:-1] + "~"}).status == 401


def test_planted_cookies_do_not_hide_the_good_one(world, anna):
    name = anna["Cookie"].split("=")[0]
    assert request(world.first, headers={"Cookie": f"{name}=x; a=b; {anna['Cookie']}; {name}="}).status == 200


def test_what_ends_a_right_ends_the_cookie(world):
    w = world
    w.user("carl", uid="uid-1")
    w.device("carl", "carl", 2, uid="d-1")
    w.environment("carl")
    w.endpoint("carl", uid="d-1")
    cookie = {"Cookie": w.cookie("carl", "carl", 2)}
    teacher = {"Cookie": w.cookie("carl", "teacher", 2, role=1)}
    port = w.first + 2
    assert request(port, headers=cookie).status == request(port, headers=teacher).status == 200
    w.tell("password", "uid-1", "new-password")
    assert request(port, headers=cookie).status == 401
    cookie = {"Cookie": w.cookie("carl", "carl", 2)}
    assert request(port, headers=cookie).status == 200
    w.user("teacher", role=2)
    assert request(port, headers=teacher).status == 401
    w.user("teacher", role=1)
    assert request(port, headers=teacher).status == 200
    w.tell("remove", "openhydrausers", "carl")
    assert request(port, headers=cookie).status == 401
    w.user("carl", uid="uid-2")  # another of that name
    assert request(port, headers=cookie).status == 401
    w.user("carl", uid="uid-1")
    assert request(port, headers=cookie).status == 200
    w.device("carl", "carl", 2, uid="d-2")  # stopped and started again
    w.endpoint("carl", uid="d-2")
    assert request(port, headers=cookie).status == 401
    w.tell("remove", "devices", "carl")
    assert request(port, headers=cookie).status == 404
    a = request(port, headers={**cookie, **NAVIGATE})
    assert a.status == 302 and "/open?to=" in a.headers["Location"]


def test_session_of_the_dashboard(world):
    w = world
    w.tell("password", "uid-anna", "anna-password")
    login = request(w.dashboard, "POST", "/auth/login", {"Content-Type": "application/json"},
                    b'{"username":"anna","password":"anna-password"}')
    assert login.status == 200, login
    session = {"Cookie": login.all("Set-Cookie")[0].split(";")[0], "X-Open-Hydra-Session-Key": login.json()["key"]}
    made = request(w.dashboard, "POST", "/apis/ticket/anna", session)
    assert made.status == 201, made
    opened = request(w.first, path=w.path_of(made.json()["status"]["url"]))
    cookie = {"Cookie": opened.all("Set-Cookie")[0].split(";")[0]}
    assert request(w.first, headers=cookie).status == 200
    assert request(w.dashboard, "POST", "/auth/logout", session).status == 204
    assert request(w.first, headers=cookie).status == 401


# --- rules 1 to 4 ---
def test_unknown_names(world, anna):
    a = request(world.first, headers=anna, host=f"rebound.example:{world.first}")
    assert a.status == 403 and "serverIP" in a.body.decode() and "Set-Cookie" not in a.headers
    assert request(world.first, headers=anna, host=f"127.0.0.1:{world.first + 1}").status == 403
    a = request(world.first, path="/lab", headers=anna, host=f"localhost:{world.first}")
    assert a.status == 302 and a.headers["Location"] == f"http://127.0.0.1:{world.first}/lab"
    assert request(world.first, "POST", headers=anna, host=f"localhost:{world.first}").status == 403


def test_foreign_origins(world, anna):
    own, other = f"http://127.0.0.1:{world.first}", f"http://127.0.0.1:{world.first + B}"
    seen = len(world.environments["anna"].seen)
    for origin in (other, f"http://127.0.0.1:{world.dashboard}", "null"):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            assert request(world.first, method, headers={**anna, "Origin": origin}).status == 403
        assert WebSocket(world.first, **anna, Origin=origin).status == 403
    assert len(world.environments["anna"].seen) == seen
    assert request(world.first, "POST", headers={**anna, "Origin": own}).status == 200


def test_foreign_fetches(world, anna):
    def status(method="GET", **headers):
        return request(world.first, method, headers={**anna, **{k.replace("_", "-"): v for k, v in headers.items()}}).status

    for site in ("same-site", "cross-site"):
        assert status(Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document") == 200
        for dest in ("iframe", "frame", "object", "embed"):
            assert status(Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest=dest) == 403
        assert status(Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="script") == 403
        assert status("POST", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document") == 403
    assert status(Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe") == 200


def test_service_workers(world, anna):
    assert request(world.first, path="/sw.js", headers={**anna, "Service-Worker": "script"}).status == 403
    world.tell("put", "sandboxes", "vscode", "uid-vscode",
               '{"metadata":{"name":"vscode"},"spec":{"allowServiceWorkers":true}}')
    world.device("anna", "anna", A, sandbox="vscode")
    assert request(world.first, path="/sw.js", headers={**anna, "Service-Worker": "script"}).status == 200
    world.device("anna", "anna", A)


# --- towards the environment ---
def test_what_an_environment_is_told(world, anna):
    spoofed = {"Cookie": f"session=1; {anna['Cookie']}; _xsrf=2", "Authorization": "Bearer mine", "Open-Hydra-Auth": "Bearer mine",
               "X-Open-Hydra-Session-Key": "mine", "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4", "Forwarded": "for=1.2.3.4",
               "X-Other": "stays"}
    request(world.first, headers=spoofed)
    h = last(world).headers
    assert h["Authorization"] == "token token-anna" and h["Host"] == f"127.0.0.1:{world.first}"
    assert h["X-Forwarded-Proto"] == "http" and h["X-Other"] == "stays"
    assert "mine" not in str(h) and "1.2.3.4" not in str(h)
    for name in ("X-Forwarded-For", "X-Real-IP", "Cookie", "Open-Hydra-Auth", "X-Open-Hydra-Session-Key", "Forwarded", "Upgrade"):
        assert name not in h, name


@pytest.mark.parametrize("path", ["/a%2Fb/%2e%2e/c", "/a//b/./c?x=%2F&y=a+b", "/%E6%95%B0?q", "/lab?token=x", "/a/../b", "/%2eopen"])
def test_address_goes_on_as_it_came(world, anna, path):
    request(world.first, path=path, headers=anna)
    assert last(world).path == path


def test_only_websockets_upgrade(world, anna):
    request(world.first, headers={**anna, "Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABk"})
    h = last(world).headers
    assert "Upgrade" not in h and h["Connection"] == "close"
    ws = WebSocket(world.first, **anna, Origin=f"http://127.0.0.1:{world.first}")
    assert ws.status == 101 and ws.echo("hello") == "hello"
    assert last(world).headers["Authorization"] == "token token-anna"
    ws.close()


def test_bodies_are_streamed(world, anna):
    arrived, go_on = threading.Event(), threading.Event()

    def answer(handler):
        first = handler.rfile.read(5)
        arrived.set()
        assert go_on.wait(20)
        handler.send_response(200)
        handler.send_header("Content-Length", "6")
        handler.end_headers()
        handler.wfile.write(first[:3])
        handler.wfile.flush()
        handler.rfile.read(5)
        handler.wfile.write(b"end")

    world.environments["anna"].answers["/upload"] = answer
    with socket.create_connection(("127.0.0.1", world.first), timeout=20) as s:
        s.sendall(f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:{world.first}\r\nCookie: {anna['Cookie']}\r\n"
                  f"Content-Length: 10\r\n\r\nhello".encode())
        assert arrived.wait(20), "the first part is there before the second"
        go_on.set()
        f = s.makefile("rb")
        assert b"200" in f.readline()
        while f.readline() != b"\r\n":
            pass
        assert f.read(3) == b"hel"
        s.sendall(b"world")
        assert f.read(3) == b"end"


def test_large_bodies_pass(world, anna):
    assert request(world.first, "PUT", "/big", anna, b"x" * (8 << 20)).status == 200
    assert len(last(world).body) == 8 << 20
    world.environments["anna"].answers["/big"] = (200, [], b"y" * (8 << 20))
    assert len(request(world.first, path="/big", headers=anna).body) == 8 << 20


# --- from the environment ---
def test_environment_cannot_steer_nginx(world, anna):
    for target in ("/.open-hydra/auth", "/.open-hydra/pages/forbidden.html", "/", "@login"):
        world.environments["anna"].answers["/accel"] = (200, [("X-Accel-Redirect", target), ("X-Accel-Limit-Rate", "1"),
                                                              ("X-Accel-Buffering", "yes"), ("X-Accel-Expires", "1")], b"own")
        a = request(world.first, path="/accel", headers=anna)
        assert a.status == 200 and a.body == b"own" and "token-anna" not in str(a.headers)
        assert not [name for name in a.headers if name.lower().startswith("x-accel")]


def test_headers_of_an_environment(world, anna):
    hidden = {"Set-Cookie": "a=b; Path=/", "Set-Cookie2": "a", "Clear-Site-Data": '"*"', "Strict-Transport-Security": "max-age=9",
              "Alt-Svc": 'h3=":1"', "NEL": "{}", "Report-To": "{}", "Reporting-Endpoints": 'a="https://x"',
              "Service-Worker-Allowed": "/", "Public-Key-Pins": "x", "Expect-CT": "x",
              "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true"}
    ours = {"Cross-Origin-Opener-Policy": "same-origin-allow-popups", "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "same-origin"}
    theirs = {name: "unsafe-none" for name in ours}
    own = "default-src 'self'; sandbox"
    for status in (200, 404, 500, 302, 401, 403, 502):
        world.environments["anna"].answers["/h"] = (
            status, [*hidden.items(), *theirs.items(), ("Content-Security-Policy", own), ("X-Own", "1")], b"own")
        a = request(world.first, path="/h", headers=anna)
        assert a.status == status and a.body == b"own" and a.headers["X-Own"] == "1"
        assert not [name for name in hidden if name in a.headers]
        for name, value in ours.items():
            assert a.all(name) == [value]
        assert sorted(a.all("Content-Security-Policy")) == sorted([own, "frame-ancestors 'self'"])


def test_own_locations_are_ours(world, anna):
    seen = len(world.environments["anna"].seen)
    for path in ("/.open-hydra/auth", "/.open-hydra/pages/forbidden.html", "/.open-hydra/x", "/.open-hydra/", "//.open-hydra/auth",
                 "/%2eopen-hydra/auth", "/x/../.open-hydra/auth"):
        a = request(world.first, path=path, headers=anna)
        assert a.status == 404 and "token" not in str(a.headers), path
    assert len(world.environments["anna"].seen) == seen


# --- tickets ---
def test_ticket_by_fetch(world):
    origin = f"http://127.0.0.1:{world.dashboard}"
    fetch = {"Origin": origin, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    path = world.path_of(world.ticket("anna", "anna"))
    for bad in (f"http://127.0.0.1:{world.first + B}", "null", "http://evil.example"):
        a = request(world.first, "POST", path, {**fetch, "Origin": bad})
        assert a.status == 403 and "Access-Control-Allow-Origin" not in a.headers
    pre = request(world.first, "OPTIONS", path, {**fetch, "Access-Control-Request-Method": "POST"})
    assert pre.status == 204 and pre.headers["Access-Control-Allow-Origin"] == origin
    a = request(world.first, "POST", path, fetch)
    assert a.status == 204 and a.headers["Access-Control-Allow-Origin"] == origin
    assert a.headers["Access-Control-Allow-Credentials"] == "true" and a.headers["Vary"] == "Origin"
    assert a.headers["Clear-Site-Data"] == '"cache", "storage"'
    cookie, = a.all("Set-Cookie")
    assert re.fullmatch(rf"__Host-Http-open-hydra-env-{world.first}=[\w-]+; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure", cookie)
    held = {"Cookie": cookie.split(";")[0]}
    assert request(world.first, headers=held).status == 200
    a = request(world.first, "POST", path, fetch)
    assert a.status == 403 and a.json()["reason"] == "Forbidden" and a.headers["Access-Control-Allow-Origin"] == origin
    # The browser has been here, and the port is still the same user's: what it keeps in its cache is worth keeping.
    again = request(world.first, "POST", world.path_of(world.ticket("anna", "anna")), {**fetch, **held})
    assert again.status == 204 and again.headers["Clear-Site-Data"] == '"storage"'


def test_ticket_of_a_port_with_another_owner_clears_the_cache(world):
    world.user("dora")
    world.device("five", "dora", 4)
    old = world.cookie("five", "dora", 4)
    world.tell("remove", "devices", "five")
    world.tell("remove", "openhydrausers", "dora")
    world.device("six", "ben", 4)
    a = request(world.first + 4, "POST", world.path_of(world.ticket("six", "ben")), {"Cookie": old})
    assert a.status == 204 and a.headers["Clear-Site-Data"] == '"cache", "storage"'
    world.tell("remove", "devices", "six")


def test_ticket_by_link(world):
    path = world.path_of(world.ticket("anna", "anna"))
    a = request(world.first, path=path + "&path=/lab/tree%3Fx", headers={**NAVIGATE, "Sec-Fetch-Site": "cross-site"})
    assert a.status == 302 and a.headers["Location"] == f"http://127.0.0.1:{world.first}/lab/tree?x"
    assert a.headers["Clear-Site-Data"] and "cookies" not in a.headers["Clear-Site-Data"] and "*" not in a.headers["Clear-Site-Data"]
    assert a.headers["Cache-Control"] == "no-store"
    cookie = {"Cookie": a.all("Set-Cookie")[0].split(";")[0]}
    # Used up: with the cookie it goes on, without back to the dashboard, and programs are told.
    assert request(world.first, path=path, headers=cookie).headers["Location"] == f"http://127.0.0.1:{world.first}/"
    assert request(world.first, path=path, headers=NAVIGATE).headers["Location"].startswith(f"http://127.0.0.1:{world.dashboard}/open?to=")
    assert request(world.first, path=path).status == 403


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_ticket_leads_to_its_own_origin_alone(world, to):
    a = request(world.first, path=world.path_of(world.ticket("anna", "anna")) + "&path=" + to.replace("\\", "%5C"))
    assert a.status == 302 and a.headers["Location"] == f"http://127.0.0.1:{world.first}/"


def test_ticket_is_for_its_port(world):
    path = world.path_of(world.ticket("anna", "anna"))
    assert request(world.first + B, "POST", path).status == 403
    assert request(world.first, "HEAD", path).status == 403
    assert request(world.first, "POST", path, {"Sec-Fetch-Site": "same-site"}).status == 403
    assert request(world.first, "POST", path, body=b"x" * 2000).status == 413
    assert request(world.first, path=path, host=f"rebound.example:{world.first}").status == 403
    assert request(world.first, "POST", path).status == 204


def test_cookies_stay_few(other_world):
    """A teacher looks into more environments than a header should hold cookies: those opened longest ago are taken back."""
    w = other_world(ports=44)
    jar = {}
    for index in range(2, 44):
        device = f"d{index}"
        port = w.device(device, "anna", index)
        path = w.path_of(w.ticket(device, "teacher", 1))
        a = request(port, "POST", path, {"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())})
        assert a.status == 204
        for line in a.all("Set-Cookie"):
            name, _, value = line.split(";")[0].partition("=")
            jar.pop(name, None)
            if "Max-Age=0" not in line:
                jar[name] = value
    assert len(jar) == 32 and all(f"-{w.first + i}" in " ".join(jar) for i in range(42, 44))
    assert len("; ".join(f"{k}={v}" for k, v in jar.items())) < 7000


# --- whose a pass is ---
def test_a_pass_is_its_clients_alone(world):
    """A page has the browser send it to whatever listens on another port of this host."""
    w, firefox = world, {"User-Agent": "Firefox"}
    a = request(w.first, path=w.path_of(w.ticket("anna", "anna")), headers=firefox)
    cookie = {"Cookie": a.all("Set-Cookie")[0].split(";")[0]}
    assert request(w.first, headers={**cookie, **firefox}).status == 200
    assert request(w.first, headers=cookie).status == 401
    assert request(w.first, headers={**cookie, "User-Agent": "curl"}).status == 401
    # From elsewhere: another address of this machine.
    assert request(w.first, headers={**cookie, **firefox}, source="127.0.0.2").status == 401
    assert WebSocket(w.first, **cookie, Origin=f"http://127.0.0.1:{w.first}").status == 401
    ws = WebSocket(w.first, **cookie, **firefox, Origin=f"http://127.0.0.1:{w.first}")
    assert ws.status == 101
    ws.close()
    # The visitor is sent to the dashboard, and back.
    a = request(w.first, headers={**cookie, **NAVIGATE})
    assert a.status == 302 and "/open?to=" in a.headers["Location"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_another_user_of_this_machine_is_another_client(world):
    """Who listens on a port here is sent the pass with all headers, and has the same address."""
    w, agent = world, {"User-Agent": "Firefox"}
    a = request(w.first, path=w.path_of(w.ticket("anna", "anna")), headers=agent)
    headers = {"Cookie": a.all("Set-Cookie")[0].split(";")[0], **agent}

    def curl(*options, **who):
        lines = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        return subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *lines, *options, f"http://127.0.0.1:{w.first}/api"],
                              capture_output=True, text=True, **who).stdout

    assert curl() == "200"
    stranger = {"user": 65534, "group": 65534, "extra_groups": []}
    assert curl(**stranger) == "401"
    assert curl("-X", "POST", **stranger) == "401"
    assert curl("-H", "Upgrade: websocket", "-H", "Connection: Upgrade", **stranger) == "401"
    assert curl() == "200"


def test_a_pass_is_renewed_with_the_answer(world, anna):
    w = world
    max_age = [p for p in request(w.first, path=w.path_of(w.ticket("anna", "anna"))).all("Set-Cookie")[0].split("; ") if p.startswith("Max-Age")]
    assert max_age in (["Max-Age=3600"], ["Max-Age=3599"])
    w.environments["anna"].answers["/set"] = (200, [("Set-Cookie", "evil=1")], b"own")
    assert request(w.first, path="/set", headers=anna).all("Set-Cookie") == []
    # Ten minutes later.
    w.tell("clock", 600)
    try:
        for path, status in (("/set", 200), ("/none", 404)):
            w.environments["anna"].answers["/none"] = (404, [("Set-Cookie", "evil=1")], b"own")
            a = request(w.first, path=path, headers=anna)
            cookie, = a.all("Set-Cookie")
            assert a.status == status and re.fullmatch(
                rf"__Host-Http-open-hydra-env-{w.first}=[\w-]+; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure", cookie)
        renewed = {"Cookie": cookie.split(";")[0]}
        ws = WebSocket(w.first, **anna, Origin=f"http://127.0.0.1:{w.first}")
        assert ws.status == 101 and "Set-Cookie" in ws.headers
        ws.close()
        # An hour after the first one, only the new one is good.
        w.tell("clock", 3601)
        assert request(w.first, headers=anna).status == 401
        a = request(w.first, headers=renewed)
        assert a.status == 200 and a.all("Set-Cookie")
        assert request(w.first + 1, headers=renewed).all("Set-Cookie") == []
    finally:
        w.tell("clock", 0)


def test_a_script_is_told_where_to_log_in(world):
    a = request(world.first, "PUT", "/api/contents/x", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, b"{}")
    assert a.status == 401 and a.headers["Content-Type"] == "application/json"
    assert a.headers["Cache-Control"] == "no-store"
    message = a.json()["message"]
    where = f"http://127.0.0.1:{world.dashboard}/open?to=http%3A%2F%2F127.0.0.1%3A{world.first}%2F"
    assert message.count(where) == 2 and "登录已结束" in message and "log in" in message


# --- states ---
def test_not_running_yet(world):
    port = world.device("eve", "anna", 3, phase="Starting")
    cookie = {"Cookie": world.cookie("eve", "anna", 3)}
    a = request(port, headers=cookie)
    assert a.status == 503 and a.headers["Retry-After"] == "3" and "正在启动" in a.body.decode()
    assert a.headers["Content-Security-Policy"].startswith("default-src 'none'")
    a = request(port, headers={**cookie, **NAVIGATE})
    assert a.status == 302 and a.headers["Location"].startswith(f"http://127.0.0.1:{world.dashboard}/open?to=")
    # Running, and told where a moment later: the request waits.
    world.device("eve", "anna", 3)
    world.environment("eve")
    answers = []
    t = threading.Thread(target=lambda: answers.append(request(port, headers=cookie)))
    t.start()
    time.sleep(0.3)
    assert not answers
    world.endpoint("eve")
    t.join(20)
    assert answers[0].status == 200
    world.device("eve", "anna", 3, deletionTimestamp="2026-01-01T00:00:00Z")
    assert request(port, headers=cookie).status == 503
    world.tell("forget", "uid-device-eve")
    world.device("eve", "anna", 3)
    begin = time.monotonic()
    assert request(port, headers=cookie).status == 503
    assert 4 < time.monotonic() - begin < 20
    world.tell("remove", "devices", "eve")


def test_environment_away(world, anna):
    world.environments["anna"].close()
    a = request(world.first, headers=anna)
    assert a.status == 502 and a.headers["Retry-After"] == "3" and "环境没有应答" in a.body.decode()
    assert a.headers["Cache-Control"] == "no-store"
    world.environment("anna")
    assert request(world.first, headers=anna).status == 200


def test_a_pass_is_renewed_once_in_five_minutes_and_no_further_than_its_end(other_world):
    """One that hangs on no session ends after sessionSeconds, used or not."""
    w = other_world("sessionSeconds: 4000\n")
    anna = {"Cookie": w.cookie("anna", "anna", A)}

    def renewed(seconds, cookie):
        w.tell("clock", seconds)
        a = request(w.first, headers=cookie)
        assert a.status == 200
        return a.all("Set-Cookie")

    assert renewed(290, anna) == []
    later, = renewed(330, anna)
    assert "; Max-Age=3600;" in later
    last, = renewed(1200, anna)
    seconds = int(re.search(r"; Max-Age=(\d+);", last)[1])
    assert 2700 <= seconds <= 2800  # to its end, not an hour
    last = {"Cookie": last.split(";")[0]}
    assert renewed(3900, last) == []
    w.tell("clock", 4001)
    assert request(w.first, headers=last).status == 401


def test_port_without_environment(world):
    assert request(world.first + 5).status == 404
    assert request(world.first + 5, headers=NAVIGATE).status == 302


def test_overflowing_cookies_are_healed(world):
    for port in (world.first, world.dashboard):
        a = request(port, headers={"Cookie": "; ".join(f"c{i}=" + "x" * 1000 for i in range(60))})
        assert a.status == 431 and a.headers["Clear-Site-Data"] == '"cookies"' and "Cookie" in a.body.decode()
        a = request(port, headers={"Cookie": "a=" + "x" * 7000})
        assert a.status in (200, 401) and "Clear-Site-Data" not in a.headers


@pytest.mark.parametrize("device,uid,name,token", [
    ("x", "u", "/etc/passwd", "t"), ("x", "u", "../auth.sock", "t"), ("x", "u", "a/../../auth.sock", "t"), ("x", "u", "a:b", "t"),
    ("x", "u", "a$b", "t"), ("x", "u", "s", "a b"), ("x", "u", "s", "a\rb"), ("x", "u", "s", ""), ("x", "", "s", "t"),
    ("x", "u", "s" * 120, "t")])
def test_endpoints_are_checked(world, device, uid, name, token):
    path = name if name.startswith("/") else f"{world.folder}/run/env/{name}"
    with pytest.raises(RuntimeError):
        world.tell("endpoint", device, uid, f"unix:{path}", token)
