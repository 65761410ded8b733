"""A hostile environment, visited in a real Chromium by a teacher who has another environment and the dashboard open."""
import json

import pytest
from chromium import PROGRAM, Chromium
from support.instance import wait_until
from world import request

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine")

HTML = [("Content-Type", "text/html; charset=utf-8")]
SCRIPT = [("Content-Type", "text/javascript")]


@pytest.fixture
def scene(other_world):
    """Anna's environment is a good one, Ben's is hostile; the teacher has both open, and the dashboard."""
    w = other_world()
    w.tell("password", "uid-teacher", "teacher-password")
    for name in ("anna", "ben"):
        w.environments[name].answers["/"] = (200, HTML, f"<title>{name}</title><p>I am {name}".encode())
    browser = Chromium()
    try:
        yield Scene(w, browser)
    finally:
        browser.close()


class Scene:
    def __init__(self, world, browser):
        self.world, self.browser = world, browser
        self.anna, self.ben = (f"http://127.0.0.1:{world.first + i}" for i in (0, 1))
        self.dashboard = browser.tab(f"http://127.0.0.1:{world.dashboard}/")
        self.key = self.dashboard.run("""
            const r = await fetch('/auth/login', {method: 'POST', headers: {'Content-Type': 'application/json'},
                                                  body: '{"username":"teacher","password":"teacher-password"}'});
            return (await r.json()).key""")

    def redeem(self, device):
        """As the dashboard does it (docs/dashboard-api.md, «Opening an environment»)."""
        return self.dashboard.run(f"""
            const made = await fetch('/apis/ticket/{device}', {{method: 'POST', headers: {{'X-Open-Hydra-Session-Key': '{self.key}'}}}});
            const url = (await made.json()).status.url;
            return (await fetch(url, {{method: 'POST', credentials: 'include', mode: 'cors'}})).status""")

    def open(self, device):
        assert self.redeem(device) == 204
        return self.browser.tab(self.anna if device == "anna" else self.ben)

    def who(self):
        return self.dashboard.run(f"""
            const r = await fetch('/auth/session', {{headers: {{'X-Open-Hydra-Session-Key': '{self.key}'}}}});
            return (await r.json()).username ?? null""")

    def seen(self, first=0):
        """What Anna's environment was asked, but for what a browser asks by itself when it gets to it."""
        return [(h.command, h.path) for h in self.world.environments["anna"].seen if h.path != "/favicon.ico"][first:]


def test_opening(scene):
    assert scene.who() == "teacher"
    tab = scene.open("anna")
    assert tab.text() == "I am anna"
    assert tab.run("return document.cookie") == ""
    assert tab.run("return (await fetch('/')).status") == 200
    assert tab.run("return (await fetch('/', {method: 'POST', body: 'x'})).status") == 200
    assert tab.run("""const ws = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
        return await new Promise((done) => { ws.onopen = () => ws.send('hello'); ws.onmessage = (e) => done(e.data); ws.onerror = () => done('error') })""") == "hello"
    # Without a cookie: to the dashboard, which knows where to go on to.
    tab = scene.browser.tab(scene.ben + "/lab?x=1")
    assert tab.url() == f"http://127.0.0.1:{scene.world.dashboard}/open?to=" + "http%3A%2F%2F127.0.0.1%3A" + f"{scene.world.first + 1}%2Flab%3Fx%3D1"


def test_hostile_page_reaches_nobody_else(scene):
    scene.open("anna").close()
    tab = scene.open("ben")
    seen, anna, dashboard = len(scene.seen()), scene.anna, f"http://127.0.0.1:{scene.world.dashboard}"
    for options in ("{mode: 'no-cors', credentials: 'include'}", "{mode: 'cors', credentials: 'include'}",
                    "{method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x'}",
                    "{method: 'PUT', credentials: 'include', body: 'x'}"):
        for url in (anna, dashboard + "/apis/x", dashboard + "/auth/session"):
            assert tab.run(f"try {{ const r = await fetch('{url}', {options}); return r.type + (await r.text()) }} catch (e) {{ return 'refused' }}") == "refused", (options, url)
    for element, attribute in (("img", "src"), ("script", "src"), ("iframe", "src"), ("object", "data"), ("embed", "src")):
        tab.run(f"""const e = document.createElement('{element}');
            await new Promise((done) => {{ e.onload = e.onerror = done; e.{attribute} = '{anna}/'; document.body.append(e); setTimeout(done, 1500) }})""")
    assert tab.run(f"""const ws = new WebSocket('{anna.replace('http', 'ws')}/ws');
        return await new Promise((done) => {{ ws.onopen = () => done('open'); ws.onerror = () => done('refused') }})""") == "refused"
    assert tab.run(f"""const f = document.createElement('form'); f.method = 'POST'; f.action = '{anna}/'; f.target = 'w'; document.body.append(f);
        f.submit(); await new Promise((done) => setTimeout(done, 1500)); return 1""", gesture=True) == 1
    assert scene.seen(seen) == []
    # A window of its own may be opened, and is out of reach at once.
    assert tab.run(f"""const w = window.open('{anna}/');
        for (let i = 0; i < 300; i++) {{
            try {{ w.document.body }} catch (e) {{ return e.name }}
            await new Promise((done) => setTimeout(done, 100));
        }}
        return 'within reach'""", gesture=True) == "SecurityError"
    assert scene.seen(seen) == [("GET", "/")]


def test_hostile_page_frames_nothing(scene):
    tab = scene.open("ben")
    urls = (f"http://127.0.0.1:{scene.world.dashboard}/", f"http://127.0.0.1:{scene.world.dashboard}/apis/x", scene.anna)
    for url in urls:
        tab.run(f"""const f = document.createElement('iframe'); f.src = '{url}'; document.body.append(f);
            await new Promise((done) => {{ f.onload = done; setTimeout(done, 3000) }})""")

    def refused():
        children = tab.call("Page.getFrameTree")["frameTree"]["childFrames"]
        return [c["frame"].get("unreachableUrl", "shown").rstrip("/") for c in children]
    wait_until(lambda: refused() == [u.rstrip("/") for u in urls], what="none is shown")
    # Its own pages it may frame.
    tab.run("const f = document.createElement('iframe'); f.src = '/'; document.body.append(f); await new Promise((done) => f.onload = done)")
    assert "unreachableUrl" not in tab.call("Page.getFrameTree")["frameTree"]["childFrames"][-1]["frame"]
    assert scene.who() == "teacher"


def test_hostile_page_takes_no_session(scene):
    login = request(scene.world.dashboard, "POST", "/auth/login", {"Content-Type": "application/json"},
                    b'{"username":"teacher","password":"teacher-password"}')
    cookie = login.all("Set-Cookie")[0].split(";")[0]
    name, value = cookie.split("=", 1)
    hostile = scene.world.environments["ben"]
    hostile.answers["/set"] = (200, [*HTML, ("Set-Cookie", f"{name}=evil; Path=/; Secure; HttpOnly"), ("Clear-Site-Data", '"*"')], b"set")
    tab = scene.open("ben")
    tab.run("await fetch('/set')")
    tab.go(scene.ben + "/set")
    assert scene.who() == "teacher"
    tab.run(f"document.cookie = '{name}=evil; Path=/; Secure'; document.cookie = '{name}=evil; Path=/auth; Secure'; document.cookie = '{name}=evil'")
    assert "evil" not in tab.run("return document.cookie") and scene.who() == "teacher"
    # The jar overflows: the session may be lost, never replaced.
    tab.run(f"""for (let i = 0; i < 400; i++) document.cookie = 'c' + i + '=' + i + '; Path=/';
        document.cookie = '{name}=evil; Path=/; Secure'; document.cookie = '{name}={value}; Path=/; Secure'""")
    assert name + "=" not in tab.run("return document.cookie")
    assert scene.who() in ("teacher", None)


def test_overflowing_cookies_heal(scene):
    tab = scene.open("ben")
    assert tab.run("""for (let i = 0; i < 60; i++) document.cookie = 'c' + i + '=' + 'x'.repeat(1000) + '; Path=/';
        return [document.cookie.length > 50000, (await fetch('/')).status, document.cookie]""") == [True, 431, ""]
    assert scene.browser.tab(scene.ben).url().startswith(f"http://127.0.0.1:{scene.world.dashboard}/open?to=")
    scene.dashboard.go(f"http://127.0.0.1:{scene.world.dashboard}/")
    assert scene.dashboard.run("return document.title") == "dashboard"


def test_no_worker_without_leave(scene):
    scene.world.environments["ben"].answers["/sw.js"] = (200, [*SCRIPT, ("Service-Worker-Allowed", "/")], b"")
    tab = scene.open("ben")
    assert tab.run("try { await navigator.serviceWorker.register('/sw.js'); return 'registered' } catch (e) { return 'refused' }") == "refused"


def test_what_an_earlier_owner_left_is_gone(scene):
    w = scene.world
    w.tell("put", "sandboxes", "vscode", "uid-vscode", json.dumps({"metadata": {"name": "vscode"}, "spec": {"allowServiceWorkers": True}}))
    w.device("ben", "ben", 1, sandbox="vscode")
    old = w.environments["ben"]
    old.answers["/sw.js"] = (200, SCRIPT, b"onfetch = (e) => e.respondWith(new Response('the worker of ' + e.request.url, {headers: {'Content-Type': 'text/html'}}));"
                                          b"oninstall = () => skipWaiting(); onactivate = (e) => e.waitUntil(clients.claim())")
    old.answers["/kept"] = (200, [*HTML, ("Cache-Control", "max-age=31536000, immutable")], b"an old page")
    tab = scene.open("ben")
    tab.go(scene.ben + "/kept")
    tab.run("localStorage.left = 'behind'; await navigator.serviceWorker.register('/sw.js'); await navigator.serviceWorker.ready;"
            "while (!navigator.serviceWorker.controller) await new Promise((r) => setTimeout(r, 20))")
    assert tab.run("return await (await fetch('/x')).text()").startswith("the worker of")
    tab.close()
    # Ben is deleted, and Anna's second device has his port.
    w.tell("remove", "devices", "ben")
    w.tell("remove", "openhydrausers", "ben")
    w.user("dora")
    w.device("dora", "dora", 1)
    new = w.environment("dora")
    new.answers["/"] = new.answers["/kept"] = (200, HTML, b"a new page")
    w.endpoint("dora")
    assert scene.redeem("dora") == 204
    assert not [h for h in old.seen if "ticket" in h.path]
    tab = scene.browser.tab(scene.ben)
    assert tab.text() == "a new page"
    assert tab.run("return localStorage.left ?? null") is None
    tab.go(scene.ben + "/kept")
    assert tab.text() == "a new page"
    assert scene.who() == "teacher"
    # Opened again by the same browser, for the same owner: logged in still.
    assert scene.redeem("dora") == 204 and scene.who() == "teacher"
