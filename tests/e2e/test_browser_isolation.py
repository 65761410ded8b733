"""A hostile environment, opened in a real Chromium by a teacher who has the dashboard and other environments open."""
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import sys

import pytest
from inside import Hostile, make_sandbox
from support.instance import GROUP, Client, Instance, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "gateway"))
from chromium import PROGRAM, Chromium, Tab  # noqa: E402
from world import NAVIGATE, WebSocket, request  # noqa: E402

pytestmark = [pytest.mark.root, pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine")]

TEACHER, PASSWORD = "teacher", "teacher-password"
KEY = "open-hydra.session-key"  # in the dashboard's localStorage
SESSION = "__Host-Http-open-hydra"
HTML = ("Content-Type", "text/html; charset=utf-8")
SCRIPT = ("Content-Type", "text/javascript")
NO_ICON = '<link rel="icon" href="data:,">'  # which a browser asks for when it likes
WITHIN = "const within = (p) => Promise.race([p, new Promise((done) => setTimeout(done, 20000, 'nothing for 20 s'))]);"


class Scene:
    """Ben's environment keeps what it is asked, Jill's is a real Jupyter, Mallory's is hostile; Olga's is there to be left behind."""

    def __init__(self, hydra):
        self.hydra = hydra
        make_sandbox(hydra)
        make_sandbox(hydra, "hostile-workers", allowServiceWorkers=True)
        hydra.create_user(TEACHER, PASSWORD, role=1)
        for name, sandbox in (("ben", "hostile"), ("mallory", "hostile"), ("olga", "hostile-workers"), ("jill", "jupyter-lab")):
            hydra.create_user(name)
            hydra.create_device(name, sandboxName=sandbox)
        for name in ("ben", "mallory", "olga", "jill"):
            hydra.wait_phase(name, "Running", 150)
        self.ben, self.mallory, self.olga = (Hostile(hydra, name) for name in ("ben", "mallory", "olga"))
        for environment in (self.ben, self.mallory, self.olga):
            environment.plan("/", f"<title>{environment.name}</title>{NO_ICON}<p>I am {environment.name}", HTML)
        self.jill = hydra.device("jill")["status"]["urls"][0]
        self.address = {name: hydra.device(name)["status"]["urls"][0] for name in ("ben", "mallory", "olga", "jill")}


@pytest.fixture(scope="module")
def scene():
    with Instance(environments=4) as hydra:
        yield Scene(hydra)


class Visit:
    """The teacher's browser: logged in, the dashboard open."""

    def __init__(self, scene):
        self.scene, self.hydra, self.browser = scene, scene.hydra, Chromium()
        self.dashboard = self.browser.tab(scene.hydra.dashboard + "/")
        self.key = self.dashboard.run(f"""
            const r = await fetch('/auth/login', {{method: 'POST', headers: {{'Content-Type': 'application/json'}},
                                                   body: JSON.stringify({{username: '{TEACHER}', password: '{PASSWORD}'}})}});
            const key = (await r.json()).key;
            localStorage.setItem('{KEY}', key);
            return key""")
        assert self.key
        self.dashboard.go(scene.hydra.dashboard + "/")

    def open(self, name):
        """As the dashboard's own page does it: through /open, to the environment."""
        address = self.scene.address[name] + "/"
        tab = self.browser.tab(f"{self.hydra.dashboard}/open?to={address.replace(':', '%3A').replace('/', '%2F')}")
        def opened():
            if tab.url().startswith(address):
                return tab.run("return document.readyState") == "complete"
            # Another's, and so after a click.
            tab.run("document.querySelector('.state-card button.primary:not([disabled])')?.click()")
            return False
        wait_until(opened, 60, what=f"{name} opened")
        return tab

    def ask(self, path, method="GET"):
        """Status of a request that the dashboard's page makes, with its key."""
        return self.dashboard.run(f"""
            const r = await fetch('{path}', {{method: '{method}', headers: {{'X-Open-Hydra-Session-Key': '{self.key}'}}}});
            return r.status""")

    def who(self):
        return self.dashboard.run(f"""
            const r = await fetch('/auth/session', {{headers: {{'X-Open-Hydra-Session-Key': '{self.key}'}}}});
            return (await r.json()).username ?? null""")

    def cookies(self):
        return {c["name"]: c["value"] for c in self.browser.call("Storage.getCookies")["cookies"]}

    def pages(self):
        return {t["targetId"]: t for t in self.browser.call("Target.getTargets")["targetInfos"] if t["type"] == "page"}

    def new_page(self, before, begin):
        """The tab that has come up since, once it shows an address that begins so."""
        found = wait_until(lambda: next((i for i, t in self.pages().items() if i not in before and t["url"].startswith(begin)), None), 30,
                           what=f"a page {begin}")
        tab = Tab.__new__(Tab)
        tab.browser, tab.target = self.browser, found
        tab.session = self.browser.call("Target.attachToTarget", targetId=found, flatten=True)["sessionId"]
        wait_until(lambda: tab.run(f"return location.href.startsWith('{begin}') && document.readyState == 'complete' && document.body != null"), 30,
                   what="loaded")
        return tab


@pytest.fixture
def visit(scene):
    v = Visit(scene)
    try:
        yield v
    finally:
        v.browser.close()


def state(scene):
    """All that a hostile page could have changed."""
    admin, found = scene.hydra.admin(), {}
    for kind in ("openhydrausers", "devices", "sandboxes"):
        found[kind] = sorted((o["metadata"]["name"], o["metadata"]["uid"], json.dumps(o["spec"], sort_keys=True))
                             for o in admin.get(kind).json()["items"])
    session, base = scene.hydra.environment(scene.hydra.login("jill", "password"), "jill")
    for what in ("kernels", "terminals", "contents"):
        answer = session.get(f"{base}/api/{what}").json()
        found[what] = [c["name"] for c in answer["content"]] if what == "contents" else answer
    return found


# ---- the way it is meant ----------------------------------------------------------------------------------------------------


def test_opening(visit):
    for name in ("ben", "mallory", "jill"):
        tab = visit.open(name)
        assert tab.run("return document.cookie") == "" and tab.run("return document.referrer") in ("", visit.hydra.dashboard + "/")
    tab = visit.browser.tab(visit.scene.ben.origin)
    assert tab.text() == "I am ben"
    assert tab.run("return (await fetch('/', {method: 'POST', body: 'x'})).status") == 200
    assert tab.run(WITHIN + """const ws = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
        return within(new Promise((done) => { ws.onopen = () => ws.send('hello'); ws.onmessage = (e) => done(e.data); ws.onerror = () => done('error') }))""") == "hello"
    assert visit.who() == TEACHER


# ---- requests of a hostile page -----------------------------------------------------------------------------------------------

# Each resolves to how it ended; all of it with the teacher's cookies.
WAYS = """
    const form = (url, type, body) => new Promise((done) => {
        const frame = document.createElement('iframe'), form = document.createElement('form'), input = document.createElement('input');
        frame.name = 'f' + Math.random();
        document.body.append(frame, form);
        Object.assign(form, {method: 'POST', action: url, enctype: type, target: frame.name});
        const at = body.indexOf('=');
        Object.assign(input, {name: body.slice(0, at), value: body.slice(at + 1)});
        form.append(input);
        frame.onload = () => done('loaded');
        form.submit();
    });
    const element = (name, attribute, url, more = {}) => new Promise((done) => {
        const e = Object.assign(document.createElement(name), more);
        e.onload = e.oncanplay = () => done('loaded');
        e.onerror = () => done('refused');
        e[attribute] = url;
        document.body.append(e);
    });
    const get = (url, options) => fetch(url, {credentials: 'include', ...options}).then(async (r) => 'answered ' + r.type + await r.text(), () => 'refused');
    const xhr = (method, url) => new Promise((done) => {
        const x = new XMLHttpRequest();
        x.open(method, url);
        x.withCredentials = true;
        x.onload = () => done('answered ' + x.responseText);
        x.onerror = () => done('refused');
        x.send('x=1');
    });
    const socket = (url) => new Promise((done) => {
        const ws = new WebSocket(url.replace('http', 'ws'));
        ws.onopen = () => done('opened');
        ws.onerror = () => done('refused');
    });
    const source = (url) => new Promise((done) => {
        const s = new EventSource(url, {withCredentials: true});
        s.onopen = () => done('opened');
        s.onerror = () => { s.close(); done('refused') };
    });
    const worker = (url) => new Promise((done) => {
        try { new Worker(url).onerror = () => done('refused') } catch { done('refused') }
    });
"""


def test_no_request_arrives(visit):
    scene, hydra = visit.scene, visit.hydra
    visit.open("ben").close()
    visit.open("jill").close()
    tab = visit.open("mallory")
    before, seen = state(scene), len(scene.ben.seen())
    ben, api, evil = scene.ben.origin, hydra.dashboard + GROUP, json.dumps({"metadata": {"name": "evil"}, "spec": {"role": 1, "password": "evil-password"}})
    ways, frames = [], []
    for url in (ben + "/r", f"{api}/devices", hydra.dashboard + "/auth/session", hydra.dashboard + "/", scene.jill + "/api/contents"):
        for options in ("{}", "{mode: 'no-cors'}", "{method: 'HEAD', mode: 'no-cors'}", "{method: 'POST', mode: 'no-cors', body: 'x=1'}",
                        "{method: 'POST', body: new Blob(['{}'], {type: 'application/json'})}", "{method: 'PUT', body: '{}'}",
                        "{method: 'DELETE'}", "{method: 'PATCH', body: '{}'}", "{headers: {Authorization: 'token x'}}"):
            ways.append(f"get('{url}', {options})")
        ways += [f"xhr('GET', '{url}')", f"xhr('POST', '{url}')", f"source('{url}')", f"worker('{url}')", f"import('{url}').then(() => 'loaded', () => 'refused')",
                 f"element('img', 'src', '{url}')", f"element('script', 'src', '{url}')", f"element('video', 'src', '{url}')",
                 f"element('link', 'href', '{url}', {{rel: 'stylesheet'}})", f"socket('{url}')"]
        frames += [f"element('iframe', 'src', '{url}')", f"element('object', 'data', '{url}')", f"element('embed', 'src', '{url}')"]
    ways += [f"socket('{scene.jill}/api/kernels/0/channels')", f"socket('{scene.jill}/terminals/websocket/1')"]
    ways += [f"get('{api}/{path}', {{method: '{method}', mode: '{mode}', body: {json.dumps(evil)}}})" for mode in ("cors", "no-cors")
             for method, path in (("POST", "openhydrausers"), ("POST", "devices/ben/ticket"), ("POST", "devices"))]
    for url, body in ((f"{api}/openhydrausers", evil + "="), (f"{api}/devices/ben/ticket", "{}="), (hydra.dashboard + "/auth/logout", "a=b"),
                      (hydra.dashboard + "/auth/login", '{"username":"mallory","password":"password","x":"=y"}'), (ben + "/form", "a=b"),
                      (scene.jill + "/api/kernels", "{}="), (scene.jill + "/api/terminals", "{}=")):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            frames.append(f"form('{url}', '{kind}', {json.dumps(body)})")
    answers = tab.run(WITHIN + WAYS + "return Promise.all([" + ", ".join(f"within({w})" for w in ways) + "])")
    assert {w: a for w, a in zip(ways, answers) if a != "refused"} == {}
    # What is shown in a frame says load even where it was refused; that nothing came is what counts.
    tab.run(WITHIN + WAYS + f"navigator.sendBeacon('{ben}/beacon', 'x'); navigator.sendBeacon('{api}/openhydrausers', {json.dumps(evil)});"
            "return Promise.all([" + ", ".join(f"within({f})" for f in frames) + "])")
    assert scene.ben.seen()[seen:] == []
    assert state(scene) == before
    assert visit.who() == TEACHER and visit.ask(GROUP + "/devices") == 200


def test_windows_are_out_of_reach(visit):
    """A hostile page may send its visitor somewhere, no more: neither it nor what it opened can touch the other."""
    scene = visit.scene
    visit.open("ben").close()
    visit.open("jill").close()
    tab = visit.open("mallory")
    for url in (scene.ben.origin + "/", visit.hydra.dashboard + "/", scene.jill + "/api"):
        before, seen = visit.pages(), len(scene.ben.seen())
        tab.run(f"window.w = window.open('{url}', 'named'); return 1", gesture=True)
        opened = visit.new_page(before, url)
        assert opened.run("return [window.opener, window.name]") == [None, ""], url
        # It is another group of windows: to the one that opened it, it is as good as closed.
        wait_until(lambda: tab.run("return w.closed"), 20, what=f"{url} is cut off")
        assert tab.run("""
            const found = [];
            for (const what of ['document', 'localStorage', 'eval'])
                try { found.push(w[what] == null ? 'nothing' : 'reached ' + what) } catch (e) { found.push(e.name) }
            return found.filter((f) => f != 'SecurityError' && f != 'nothing')""") == [], url
        tab.run("try { w.location = 'about:blank'; w.postMessage('x', '*'); w.close() } catch {} return 1")
        assert opened.run("return location.href") == url
        opened.close()
        arrived = [(s["method"], s["path"]) for s in scene.ben.seen()[seen:]]
        assert arrived == ([("GET", "/")] if url == scene.ben.origin + "/" else []), url
    # A form in a window of its own is refused, since it is no GET.
    before, seen = visit.pages(), len(scene.ben.seen())
    tab.run(f"""const f = document.createElement('form'); Object.assign(f, {{method: 'POST', action: '{scene.ben.origin}/form', target: '_blank'}});
        document.body.append(f); f.submit(); return 1""", gesture=True)
    assert "I am ben" not in visit.new_page(before, scene.ben.origin).text() and scene.ben.seen()[seen:] == []
    # So it is in its own.
    tab.run(f"const f = document.createElement('form'); Object.assign(f, {{method: 'POST', action: '{visit.hydra.dashboard}/auth/logout'}}); document.body.append(f); f.submit(); return 1",
            gesture=True)
    wait_until(lambda: visit.pages()[tab.target]["url"].startswith(visit.hydra.dashboard), 30, what="gone there")
    assert scene.ben.seen()[seen:] == [] and visit.who() == TEACHER


def test_nothing_is_framed(visit):
    scene, dashboard = visit.scene, visit.hydra.dashboard
    visit.open("ben").close()
    tab = visit.open("mallory")
    urls = (dashboard + "/", dashboard + "/open?to=x", dashboard + "/setup", dashboard + GROUP + "/devices", dashboard + "/auth/session",
            scene.ben.origin + "/", scene.jill + "/api", dashboard + "/assets/")
    for url in urls:
        tab.run(WITHIN + f"""const f = document.createElement('iframe'); f.src = '{url}'; document.body.append(f);
            return within(new Promise((done) => f.onload = done))""")
    children = tab.call("Page.getFrameTree")["frameTree"]["childFrames"]
    assert [c["frame"].get("unreachableUrl", "shown " + c["frame"]["url"]) for c in children] == list(urls)
    # Its own pages it may.
    tab.run(WITHIN + "const f = document.createElement('iframe'); f.src = '/'; document.body.append(f); return within(new Promise((done) => f.onload = done))")
    assert "unreachableUrl" not in tab.call("Page.getFrameTree")["frameTree"]["childFrames"][-1]["frame"]


def test_the_dashboard_is_out_of_reach_of_what_it_opens(visit):
    """A tab that the dashboard opens, as its button does: empty at first, then the environment's."""
    scene, dashboard = visit.scene, visit.dashboard
    visit.open("mallory").close()
    before, address = visit.pages(), dashboard.url()
    dashboard.run("window.w = window.open('about:blank', '_blank'); return 1", gesture=True)
    dashboard.run(f"w.location.href = '{scene.mallory.origin}/'; return 1")
    opened = visit.new_page(before, scene.mallory.origin)
    assert opened.run("return window.opener") is None
    wait_until(lambda: dashboard.run("return w.closed"), 20, what="it is cut off")
    assert dashboard.url() == address and visit.who() == TEACHER


# ---- headers --------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pass_of(scene):
    """The cookie of Mallory's environment, as a plain client has it."""
    session, _ = scene.hydra.environment(scene.hydra.login("mallory", "password"), "mallory")
    return "; ".join(f"{c.name}={c.value}" for c in session.cookies)


def fetch(scene, path, cookie, headers=None, **more):
    return request(scene.mallory.port, path=path, headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin", **(headers or {})}, **more)


def test_an_environment_steers_nothing(scene, pass_of):
    token = scene.mallory.run("import os; result = os.environ['OPENHYDRA_TOKEN']")
    for target in ("/.open-hydra/auth", "/.open-hydra/pages/cookies.html", "/.open-hydra/open", "/other", "@login", "http://127.0.0.1/"):
        scene.mallory.plan("/steer", "my own words", HTML, ("X-Accel-Redirect", target), ("X-Accel-Charset", "koi8-r"),
                           ("X-Accel-Expires", "3600"), ("X-Accel-Limit-Rate", "1"), ("X-Accel-Buffering", "yes"))
        answer = fetch(scene, "/steer", pass_of)
        assert (answer.status, answer.body) == (200, b"my own words"), target
        text = str(answer.headers)
        assert token not in text and "open-hydra" not in text.lower() and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    scene.mallory.plan("/slow", "x" * 60000, ("X-Accel-Limit-Rate", "1"))
    assert len(fetch(scene, "/slow", pass_of).body) == 60000
    # Even a status that means something to nginx means nothing from here.
    for status in (401, 403, 404, 444, 494, 499, 500, 502, 503):
        scene.mallory.plan("/status", "mine", ("Location", "/elsewhere"), ("X-Open-Hydra-Page", "starting"), status=status)
        answer = fetch(scene, "/status", pass_of)
        assert (answer.status, answer.body) == (status, b"mine") and not answer.all("Set-Cookie") and "Clear-Site-Data" not in answer.headers


SETS = "Set-Cookie: x=evil; Path=/"
# Lines that some parsers take for one that sets a cookie, and answers that are none or more than one.
ODD = [SETS, SETS.upper(), SETS.lower(), "Set-Cookie : x=evil", "Set-Cookie\t: x=evil", " " + SETS, "X: y\r\n " + SETS, "X: y\r\n\t" + SETS, "X: y\n" + SETS,
       "X: y\r" + SETS, "X: y\0\r\n" + SETS, "X: y\x0b" + SETS, "X: y\x85" + SETS, "\xef\xbb\xbf" + SETS, "Set-Cookie:x=evil", "Set_Cookie: x=evil",
       ": y\r\n" + SETS, "Clear-Site-Data\r\n: \"*\"\r\n" + SETS, SETS + "\r\n" + SETS]


def odd_answers():
    more = f"HTTP/1.1 200 OK\r\n{SETS}\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nsecond"
    chunked, ok = "HTTP/1.1 200 OK\r\nTransfer-Encoding: {}\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    yield from (f"HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 2\r\n\r\nok" for line in ODD)
    # Interim answers, with the real one behind: nginx and a browser do not mean the same by that.
    for status in ("100 Continue", "101 Switching Protocols", "103 Early Hints", "199 x", "099 x", "000 x"):
        for head in ("", "Upgrade: x\r\nConnection: upgrade\r\n", f"Content-Length: {len(more)}\r\n"):
            yield f"HTTP/1.1 {status}\r\n{head}\r\n{more}"
    yield "HTTP/1.1 100 Continue\r\n\r\nICY 200 OK\r\n" + more.partition("\r\n")[2]
    yield "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 103 x\r\n\r\n" + more
    yield from (ok + "\r\nok" + more, "HTTP/1.1 204 No Content\r\n\r\n" + more, "HTTP/1.1 205 Reset Content\r\n\r\n" + more,
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n" + more, "ok" + more, "\r\n\r\n" + more, "HTTP/1.1 200 OK\r\n" + SETS,
                f"HTTP/1.1 200 OK\n{SETS}\nContent-Length: 2\n\nok" + more, f"HTTP/1.0 200 OK\r\n{SETS}\r\nContent-Length: 2\r\n\r\nok" + more,
                "HTTP/1.1 200 OK\r\nX: " + "y" * 100000 + f"\r\n{SETS}\r\n\r\nok", ok + "Content-Length: 3\r\n\r\nok" + more,
                chunked.format("chunked") + f"Trailer: Set-Cookie\r\n\r\n2\r\nok\r\n0\r\n{SETS}\r\n\r\n" + more,
                chunked.format("chunked") + "Content-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n" + more)
    yield from (chunked.format(coding) + "\r\n2\r\nok\r\n0\r\n\r\n" + more for coding in ("identity", "gzip, chunked", "chunked, chunked", "xchunked", "chunked\x0b"))


def test_odd_answers(scene, visit):
    """Whatever bytes an environment sends: the browser gets no cookie of it, and the next request its own answer."""
    tab = visit.open("mallory")
    held = visit.cookies()
    scene.mallory.plan("/next", "the next", HTML)
    raws = list(odd_answers())
    for i, raw in enumerate(raws):
        scene.mallory.plan(f"/raw/{i}", raw, status="raw")
    # What is nonsense makes the browser wait for more: two seconds of that are enough.
    answers = tab.run(f"""
        const left = [...Array({len(raws)}).keys()], answers = [];
        const ask = async (i) => {{
            const stop = new AbortController(), timer = setTimeout(() => stop.abort(), 2000);
            try {{ await (await fetch('/raw/' + i, {{signal: stop.signal}})).text() }} catch {{}}
            clearTimeout(timer);
            answers[i] = await (await fetch('/next')).text();
        }};
        // As many at a time as it has connections for one host.
        await Promise.all([1, 2, 3, 4, 5, 6].map(async () => {{ while (left.length) await ask(left.shift()) }}));
        return answers""")
    assert {raw: answer for raw, answer in zip(raws, answers) if answer != "the next"} == {}
    assert visit.cookies() == held
    for raw in ("HTTP/1.1 103 x\r\n\r\n", "HTTP/1.1 101 x\r\n\r\n"):
        scene.mallory.plan("/raw", f"{raw}HTTP/1.1 200 OK\r\n{SETS}\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nsecond", status="raw")
        shown = tab.call("Page.navigate", url=scene.mallory.origin + "/raw")
        assert "errorText" in shown and visit.cookies() == held, shown
    assert visit.who() == TEACHER


HIDDEN = {"Set-Cookie": "x=y; Path=/", "Set-Cookie2": "x=y", "Clear-Site-Data": '"*"', "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
          "Alt-Svc": 'h3=":443"', "NEL": "{}", "Report-To": "{}", "Reporting-Endpoints": 'x="https://evil.example"', "Service-Worker-Allowed": "/",
          "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true", "Expect-CT": "max-age=1", "Public-Key-Pins": "x"}
OWN = {"Cross-Origin-Opener-Policy": ("unsafe-none", "same-origin-allow-popups"), "Cross-Origin-Resource-Policy": ("cross-origin", "same-origin"),
       "Referrer-Policy": ("unsafe-url", "same-origin")}


def test_headers_that_hold_for_more_than_the_environment(scene, pass_of):
    theirs = [*HIDDEN.items(), *((name, given) for name, (given, _) in OWN.items()), ("Content-Security-Policy", "default-src *; frame-ancestors *")]
    for status in (200, 201, 302, 404, 500):
        scene.mallory.plan("/headers", "x", *theirs, status=status)
        answer = fetch(scene, "/headers", pass_of)
        assert not set(HIDDEN) & set(answer.headers.keys()), answer.headers
        for name, (_, ours) in OWN.items():
            assert answer.all(name) == [ours]
        assert "frame-ancestors 'self'" in answer.all("Content-Security-Policy")


def test_what_an_environment_is_told(scene, pass_of):
    """Nothing of ours: neither the visitor's session nor what else would open something."""
    ours = {"Authorization": "Bearer stolen", "Open-Hydra-Auth": "Bearer stolen", "X-Open-Hydra-Session-Key": "stolen", "Proxy": "stolen",
            "Cookie": f"{SESSION}=stolen; other=stolen; {pass_of}; _xsrf=stolen", "X-Real-IP": "stolen", "X-Forwarded-For": "stolen", "Forwarded": "stolen",
            "X-Forwarded-Proto": "stolen", "X-Forwarded-Host": "stolen"}
    before = len(scene.mallory.seen())
    assert fetch(scene, "/told?x=%2F..%2F", "", ours).status == 200
    told, = scene.mallory.seen()[before:]
    text = json.dumps(told)
    assert "stolen" not in text and pass_of.split("=", 1)[1] not in text and told["path"] == "/told?x=%2F..%2F"
    headers = dict(told["headers"])
    assert "Cookie" not in headers and headers["Authorization"] == "token " + scene.mallory.run("import os; result = os.environ['OPENHYDRA_TOKEN']")
    # The control of this test's own server is not to be had through nginx either.
    assert fetch(scene, "/.control/seen", pass_of).body == b"environment"


# ---- cookies and the session ------------------------------------------------------------------------------------------------------


def names(scene):
    """Of cookies that mean something, or did once, or look as if."""
    ports = [e.port for e in (scene.ben, scene.mallory)]
    stems = ["open-hydra", *(f"open-hydra-env-{p}" for p in ports)]
    return [prefix + stem for stem in stems for prefix in ("", "__Host-", "__Secure-", "__Http-", "__Host-Http-")]


ATTRIBUTES = ("", "; Path=/", "; Path=/; Secure; HttpOnly", "; Path=/; Secure; HttpOnly; SameSite=Strict", "; Path=/auth; Secure", "; Domain=127.0.0.1; Path=/")


def test_no_cookie_of_an_environment_is_kept(visit):
    """By header: whatever the name, and however the answer came."""
    scene = visit.scene
    headers = [("Set-Cookie", f"{name}=evil{attributes}") for name in names(scene) for attributes in ATTRIBUTES]
    headers += [("set-cookie", "plain=evil"), ("SET-COOKIE", "shouted=evil")]
    visit.open("ben").close()
    tab = visit.open("mallory")
    held = visit.cookies()
    # nginx takes so many header lines of an upstream's that fit into its buffer.
    for path, status, more in (("/page", 200, (HTML,)), ("/moved", 302, (("Location", "/"),)), ("/failed", 500, (HTML,)), ("/picture", 200, (("Content-Type", "image/png"),))):
        scene.mallory.plan(path, "x", *more, *headers, status=status)
    scene.mallory.plan("/ws", "", *headers)
    tab.run(WITHIN + """
        for (const path of ['/page', '/moved', '/failed', '/picture']) await fetch(path);
        await within(new Promise((done) => { const i = new Image(); i.onerror = i.onload = done; i.src = '/picture' }));
        return within(new Promise((done) => { const ws = new WebSocket(location.origin.replace('http', 'ws') + '/ws'); ws.onopen = done }))""")
    tab.go(scene.mallory.origin + "/page")
    tab.go(scene.mallory.origin + "/moved")
    assert visit.cookies() == held and "evil" not in json.dumps(held)
    assert visit.who() == TEACHER and visit.browser.tab(scene.ben.origin).text() == "I am ben"


def test_no_cookie_of_a_script_replaces_one_of_ours(visit):
    scene = visit.scene
    visit.open("ben").close()
    tab = visit.open("mallory")
    held = visit.cookies()
    assert SESSION in held
    tab.run("".join(f"document.cookie = {json.dumps(f'{name}=evil{attributes}')};" for name in names(scene) for attributes in ATTRIBUTES) +
            f"try {{ await cookieStore.set({{name: '{SESSION}', value: 'evil', path: '/'}}) }} catch {{}} return 1")
    after = visit.cookies()
    assert {name: value for name, value in after.items() if name in held} == held
    assert not [name for name, value in after.items() if value == "evil" and name.startswith(("__Host-Http-", "__Http-"))]
    # With the others beside it: ours are still found, and still are ours.
    assert visit.who() == TEACHER and visit.ask(GROUP + "/devices") == 200
    assert visit.browser.tab(scene.ben.origin).text() == "I am ben"


def test_an_overflowed_jar_and_a_session_of_ones_own(visit):
    """400 cookies push out the teacher's session; then comes one that is good, the student's own."""
    scene = visit.scene
    student = scene.hydra.visitor()
    own_key = student.post("/auth/login", json={"username": "mallory", "password": "password"}).json()["key"]
    own = next(c for c in student.cookies if c.name == SESSION).value
    tab = visit.open("mallory")
    tab.run(f"""for (let i = 0; i < 400; i++) document.cookie = 'c' + i + '=' + i + '; Path=/';
        for (const more of ['', '; Secure', '; Secure; HttpOnly', '; SameSite=Strict; Secure'])
            for (const name of ['{SESSION}', '__Host-open-hydra', 'open-hydra']) document.cookie = name + '={own}; Path=/' + more;
        return 1""")
    assert visit.cookies().get(SESSION) != own
    assert visit.who() in (TEACHER, None)
    # A browser that does not know the prefix would have taken it: then there is still the key.
    visit.browser.call("Storage.clearCookies")
    visit.browser.call("Storage.setCookies", cookies=[{"name": SESSION, "value": own, "url": scene.hydra.dashboard + "/", "path": "/", "secure": True,
                                                       "httpOnly": True, "sameSite": "Strict"}])
    assert visit.cookies()[SESSION] == own
    assert visit.who() is None and visit.ask(GROUP + "/devices") == 401
    assert visit.dashboard.run("const r = await fetch('/auth/session'); return (await r.json()).authenticated") is False
    assert visit.dashboard.run("const r = await fetch(location.origin + '/apis/open-hydra-server.openhydra.io/v1/devices'); return r.status") == 401
    # (The cookie is good, with the key that belongs to it.)
    assert visit.dashboard.run(f"const r = await fetch('/auth/session', {{headers: {{'X-Open-Hydra-Session-Key': '{own_key}'}}}}); return (await r.json()).username") == "mallory"
    visit.dashboard.go(visit.hydra.dashboard + "/")
    wait_until(lambda: visit.dashboard.run("return document.querySelector('input[type=password]') !== null"), 30, what="the login")


@pytest.mark.parametrize("where", ["dashboard", "mallory"])
def test_too_many_large_cookies_heal(visit, where):
    """One request clears them; the next is served."""
    scene = visit.scene
    tab = visit.open("mallory")
    visit.dashboard.close()  # its own next request would heal already
    tab.run("for (let i = 0; i < 60; i++) document.cookie = 'c' + i + '=' + 'x'.repeat(1000) + '; Path=/'; return 1")
    wait_until(lambda: len(visit.cookies()) > 50, 20, what="the jar is full")
    url = visit.hydra.dashboard + "/" if where == "dashboard" else scene.mallory.origin + "/"
    page = visit.browser.tab(url)
    assert page.run("return performance.getEntriesByType('navigation')[0].responseStatus") == 431
    assert visit.cookies() == {}
    page.go(visit.hydra.dashboard + "/")
    assert page.run("return performance.getEntriesByType('navigation')[0].responseStatus") == 200


def test_the_dashboards_storage_stays(visit):
    scene = visit.scene
    for what in ('"*"', '"cookies"', '"storage"', '"cookies", "storage", "cache", "executionContexts"'):
        scene.mallory.plan("/clear", "x", HTML, ("Clear-Site-Data", what))
        tab = visit.open("mallory")
        tab.run("await fetch('/clear'); return 1")
        tab.go(scene.mallory.origin + "/clear")
        tab.close()
    assert visit.who() == TEACHER and visit.dashboard.run(f"return localStorage.getItem('{KEY}')") == visit.key
    tab = visit.open("mallory")
    assert tab.run(f"return localStorage.getItem('{KEY}')") is None


# ---- tickets ----------------------------------------------------------------------------------------------------------------------


def make_ticket(visit, name):
    return visit.dashboard.run(f"""
        const r = await fetch('{GROUP}/devices/{name}/ticket', {{method: 'POST', headers: {{'X-Open-Hydra-Session-Key': '{visit.key}'}}}});
        return (await r.json()).status.url""")


def test_no_ticket_leaks(visit):
    """Not to the environment, by an address or a Referer, nor to the page, nor on to another."""
    scene = visit.scene
    before, ben = len(scene.mallory.seen()), len(scene.ben.seen())
    url = make_ticket(visit, "mallory")
    ticket = url.split("ticket=")[1]
    tab = visit.browser.tab(url)
    assert tab.url() == scene.mallory.origin + "/" and tab.text() == "I am mallory"
    assert tab.run("return document.referrer + JSON.stringify(performance.getEntries()) + JSON.stringify(history.state)").find(ticket) == -1
    tab.run("await fetch('/after'); return 1")
    visit.open("ben").close()
    tab.run(f"const a = document.createElement('a'); a.href = '{scene.ben.origin}/from-mallory'; a.referrerPolicy = 'unsafe-url'; document.body.append(a); a.click(); return 1", gesture=True)
    wait_until(lambda: any(s["path"] == "/from-mallory" for s in scene.ben.seen()[ben:]), 30, what="went there")
    told = scene.mallory.seen()[before:] + scene.ben.seen()[ben:]
    own = {f"127.0.0.1:{e.port}": e.origin for e in (scene.mallory, scene.ben)}
    assert "/after" in json.dumps(told) and ticket not in json.dumps(told) and "ticket" not in json.dumps(told)
    # Of the addresses of one nothing goes to another, whatever its page says, nor of the dashboard's.
    # (Mallory's page asked for its own to be sent on.)
    headers = [dict(s["headers"]) for s in told]
    assert not [h for h in headers if not h.get("Referer", own[h["Host"]]).startswith((own[h["Host"]], scene.mallory.origin + "/"))]
    # Once only.
    assert request(scene.mallory.port, path="/.open-hydra/open?ticket=" + ticket, headers={"Sec-Fetch-Site": "none"}).status == 403
    for text in (visit.hydra.output(),):
        assert ticket not in text


def test_a_hostile_page_redeems_nothing(visit):
    """Not even with a ticket in hand: what it would set in the visitor's browser is not its business."""
    scene = visit.scene
    tab = visit.open("mallory")
    url = make_ticket(visit, "ben")
    for options in ("{method: 'POST', credentials: 'include'}", "{method: 'POST', mode: 'no-cors', credentials: 'include'}", "{credentials: 'include', mode: 'no-cors'}",
                    "{method: 'OPTIONS'}"):
        answer = tab.run(f"return fetch('{url}', {options}).then(async (r) => r.type + r.status + await r.text(), () => 'refused')")
        assert answer in ("refused", "opaque0"), options  # opaque: it may be sent, and nothing of the answer is seen
    tab.run(WITHIN + f"""const f = document.createElement('iframe'); f.src = '{url}'; document.body.append(f);
        return within(new Promise((done) => f.onload = done))""")
    assert not [name for name in visit.cookies() if name.endswith(f"-{scene.ben.port}")]
    # It was not used up.
    assert visit.dashboard.run(f"return (await fetch('{url}', {{method: 'POST', credentials: 'include', mode: 'cors'}})).status") == 204


def test_no_worker_without_leave(visit):
    scene = visit.scene
    scene.mallory.plan("/sw.js", "", SCRIPT, ("Service-Worker-Allowed", "/"))
    tab = visit.open("mallory")
    assert tab.run("return navigator.serviceWorker.register('/sw.js').then(() => 'registered', () => 'refused')") == "refused"
    assert tab.run("return navigator.serviceWorker.register('/sw.js', {type: 'module'}).then(() => 'registered', () => 'refused')") == "refused"
    assert tab.run("return (await navigator.serviceWorker.getRegistrations()).length") == 0


WORKER = """
onfetch = (e) => e.respondWith(new Response('the worker of olga saw ' + e.request.url, {headers: {'Content-Type': 'text/html'}}));
oninstall = () => skipWaiting();
onactivate = (e) => e.waitUntil(clients.claim());
"""


def test_what_an_earlier_owner_left_is_gone(visit):
    """Last of all, since it gives Olga's port to somebody else: a worker of hers sees no ticket, and is gone with it."""
    scene, hydra = visit.scene, visit.hydra
    scene.olga.plan("/sw.js", WORKER, SCRIPT)
    scene.olga.plan("/kept", "an old page", HTML, ("Cache-Control", "max-age=31536000, immutable"))
    tab = visit.open("olga")
    tab.go(scene.olga.origin + "/kept")
    tab.run("""localStorage.left = 'behind'; await navigator.serviceWorker.register('/sw.js'); await navigator.serviceWorker.ready;
        while (!navigator.serviceWorker.controller) await new Promise((r) => setTimeout(r, 20)); return 1""")
    assert tab.run("return (await fetch('/x')).text()") == f"the worker of olga saw {scene.olga.origin}/x"
    tab.close()
    assert hydra.admin().delete("openhydrausers/olga").status_code in (200, 202)
    wait_until(lambda: hydra.admin().get("openhydrausers/olga").status_code == 404, 60, what="olga gone")
    hydra.create_user("nina")
    hydra.create_device("nina", sandboxName="hostile")
    assert hydra.wait_phase("nina", "Running", 120)["status"]["port"] == scene.olga.port
    nina = Hostile(hydra, "nina")
    nina.plan("/", NO_ICON + "<p>I am nina", HTML)
    nina.plan("/kept", "a new page", HTML)
    scene.address["nina"] = nina.origin
    # The old cookie is nobody there, and the worker does sit there (so that this test means something).
    assert "the worker of olga saw" in visit.browser.tab(nina.origin).text()
    tab = visit.open("nina")
    assert tab.text() == "I am nina"
    assert tab.run("return [localStorage.left ?? null, (await navigator.serviceWorker.getRegistrations()).length]") == [None, 0]
    assert tab.run("return (await fetch('/kept')).text()") == "a new page"
    tab.go(nina.origin + "/kept")
    assert tab.text() == "a new page" and "ticket" not in json.dumps(nina.seen())
    assert visit.who() == TEACHER


# ---- where nobody logs in ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_house():
    with Instance(config={"disableAuth": True}, environments=4) as hydra:
        make_sandbox(hydra)
        hydra.create_user("anna")
        hydra.create_device("anna", sandboxName="hostile")
        hydra.wait_phase("anna", "Running", 120)
        yield hydra


def test_without_logins_a_rebound_name_is_refused(open_house):
    """A page of anybody's whose name leads here by its own DNS is «same origin» to the browser: only Host and Origin tell."""
    hydra, anna = open_house, Hostile(open_house, "anna")
    body, kind = json.dumps({"metadata": {"name": "evil"}, "spec": {"role": 1, "password": "evil-password"}}).encode(), {"Content-Type": "application/json"}
    assert request(hydra.dashboard_port, path=GROUP + "/openhydrausers").status == 200
    assert request(anna.port, path="/", headers=NAVIGATE).status == 200
    seen = len(anna.seen())
    for name in ("rebound.example", "127.0.0.1.rebound.example", "localhost.rebound.example", "127.0.0.1@rebound.example", "rebound.example#127.0.0.1", "2130706433", "0x7f.1", ""):
        for port, paths in ((hydra.dashboard_port, ("/", GROUP + "/openhydrausers", "/auth/session", "/openapi/v3", "/metrics", "/version")), (anna.port, ("/", "/api"))):
            for host in {f"{name}:{port}", name}:
                same = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
                for path in paths:
                    for headers in ({}, same, NAVIGATE):
                        answer = request(port, path=path, host=host, headers=headers) if host else request(port, path=path, host=" ", headers=headers)
                        assert answer.status in (400, 403) and b"anna" not in answer.body, (host, path, answer.status)
                if port == hydra.dashboard_port:
                    answer = request(port, "POST", GROUP + "/openhydrausers", {**same, **kind}, body, host=host or " ")
                else:
                    answer = request(port, "POST", "/", same, b"x", host=host or " ")
                assert answer.status in (400, 403), (host, answer.status)
            with contextlib.suppress(ValueError, IndexError, OSError):
                ws = WebSocket(anna.port, Host=f"{name}:{anna.port}", Origin=f"http://{name}:{anna.port}")
                assert ws.status in (400, 403), name
                ws.close()
    assert anna.seen()[seen:] == [] and hydra.admin().get("openhydrausers/evil").status_code == 404


def test_without_logins_a_foreign_page_is_refused(open_house):
    """No cookie is needed here, so that it hangs on where a request comes from alone."""
    hydra, anna = open_house, Hostile(open_house, "anna")
    body = json.dumps({"metadata": {"name": "evil"}, "spec": {"role": 1, "password": "evil-password"}}).encode()
    seen = len(anna.seen())
    for origin in (anna.origin, f"http://localhost:{hydra.dashboard_port}", f"https://127.0.0.1:{hydra.dashboard_port}", "http://evil.example", "null", "file://"):
        for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded"):
            answer = request(hydra.dashboard_port, "POST", GROUP + "/openhydrausers", {"Origin": origin, "Content-Type": kind}, body)
            assert answer.status == 403, (origin, kind, answer.status)
            answer = Client(hydra, certificate=False).post(GROUP + "/openhydrausers", data=body, headers={"Origin": origin, "Content-Type": kind})
            assert answer.status_code == 403, (origin, kind, answer.text)
        assert "Access-Control-Allow-Origin" not in request(hydra.dashboard_port, path=GROUP + "/devices", headers={"Origin": origin}).headers
        if origin != anna.origin:
            assert request(anna.port, "POST", "/", {"Origin": origin}, b"x").status == 403
            ws = WebSocket(anna.port, Origin=origin)
            assert ws.status == 403
            ws.close()
    for site in ("same-site", "cross-site", "something-new"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}
        assert request(hydra.dashboard_port, "POST", GROUP + "/openhydrausers", {**headers, "Content-Type": "application/json"}, body).status == 403, site
        assert request(hydra.dashboard_port, path=GROUP + "/openhydrausers", headers=headers).status == 403, site
        assert request(anna.port, path="/", headers=headers).status == 403
        # The API's port: a browser that holds a certificate sends it with whatever a page asks.
        for client in (hydra.admin(), Client(hydra, certificate=False)):
            assert client.post("openhydrausers", data=body, headers={**headers, "Origin": "https://evil.example"}).status_code == 403, site
            assert client.get("openhydrausers", headers=headers).status_code == 403, site
        for dest in ("iframe", "object", "embed", "frame"):
            framed = {**headers, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": dest}
            assert request(anna.port, path="/", headers=framed).status == 403 and request(hydra.dashboard_port, path=GROUP + "/devices", headers=framed).status == 403
    assert anna.seen()[seen:] == [] and hydra.admin().get("openhydrausers/evil").status_code == 404


# ---- whoever else receives a pass, and a session that is over ---------------------------------------------------------------------

LISTENER = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(json.dumps(self.headers.items()), flush=True)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def test_a_pass_is_of_no_use_to_another_user_of_the_machine(scene, visit):
    """A hostile page asks for an image where an ordinary local user listens: all passes are sent, with every other header."""
    stranger = {"user": 65534, "group": 65534, "extra_groups": []}
    visit.open("jill").close()
    tab = visit.open("mallory")
    # The system's own: the checkout may lie where another user cannot go.
    listener = subprocess.Popen(["/usr/bin/python3", "-c", LISTENER], stdout=subprocess.PIPE, text=True, cwd="/", **stranger)
    try:
        port = int(listener.stdout.readline())
        tab.run(f"new Image().src = 'http://127.0.0.1:{port}/steal'; return 1")
        stolen = {name: value for name, value in json.loads(listener.stdout.readline()) if name not in ("Host", "Connection")}
    finally:
        listener.kill()
        listener.wait()
    name = f"-env-{scene.jill.rsplit(':', 1)[1].rstrip('/')}="
    assert name in stolen["Cookie"], stolen
    headers = [word for header, value in stolen.items() if not header.startswith("Sec-Fetch") for word in ("-H", f"{header}: {value}")]

    def curl(*options, **who):
        return subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *headers, *options, scene.jill + "/api/contents"],
                              capture_output=True, text=True, cwd="/", **who).stdout

    assert curl(**stranger) == "401"
    assert curl("-X", "POST", **stranger) == "401"
    assert curl() == "200", "the browser's own user, as it is here"


def test_jupyter_says_where_to_log_in(scene, visit):
    """A session that is over while somebody works: the words are in Jupyter's own dialog, and the way that they say leads back."""
    session, base = scene.hydra.environment(scene.hydra.login("jill", "password"), "jill")
    assert session.put(f"{base}/api/contents/note.txt", json={"type": "file", "format": "text", "content": "a note"},
                       headers={"Origin": base}).status_code in (200, 201)
    visit.open("jill").close()
    tab = visit.browser.tab(f"{scene.jill}/lab/tree/note.txt?reset")
    editor = "document.querySelector('.jp-FileEditor .cm-content')"
    wait_until(lambda: tab.run(f"return {editor}?.innerText.includes('a note') ?? false"), 120, what="the editor")
    assert visit.ask("/auth/logout", "POST") == 204

    def save():
        tab.run(f"{editor}.focus(); document.execCommand('insertText', false, 'x')")
        for kind in ("rawKeyDown", "keyUp"):
            tab.call("Input.dispatchKeyEvent", type=kind, modifiers=2, key="s", code="KeyS", windowsVirtualKeyCode=83)
        return tab.run("return document.querySelector('.jp-Dialog')?.innerText ?? ''")

    said = wait_until(lambda: (text := save()) and "登录已结束" in text and text, 60, every=1, what="the dialog")
    assert f"{scene.hydra.dashboard}/open?to=" in said and "nothing is lost" in said
