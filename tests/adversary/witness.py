"""Those who only want to work, while somebody attacks: each thing that they do is done again and again and timed, in a process of its own.

Beside them a control does the same with a server that nobody attacks, so that what the machine itself is late with is known: it is no
fault of the product where attackers, witnesses and server share two processors."""
import contextlib
import dataclasses
import http.client
import http.server
import json
import multiprocessing
import os
import socketserver
import ssl
import subprocess
import threading
import time

from wire import GROUP

PATIENCE = 30  # seconds: what takes longer has failed
JSON = {"Content-Type": "application/json"}


@dataclasses.dataclass
class Class:
    """Who works, and with what."""
    dashboard: int
    api: int
    certificates: dict   # ca, crt, key: files
    kubectl: str
    kubeconfig: str
    lister_token: str    # a student who looks at the dashboard
    lab_port: int        # a student with an open notebook
    lab_cookie: str
    lab_notebook: str
    login_name: str
    starter_token: str   # a student who starts and stops an environment
    starter_name: str
    sandbox: str


@dataclasses.dataclass
class Sample:
    what: str
    begin: float
    seconds: float
    failure: str = ""


class Witness:
    def __init__(self, people, samples, stop, control_port):
        self.people, self.samples, self.stop, self.control_port = people, samples, stop, control_port
        self.connections = threading.local()
        self.cookies = {}  # of the browser that logs in again and again

    def ask(self, port, method, path, body=None, headers=None, code=200, tls=False):
        kept = self.connections.__dict__.setdefault("kept", {})
        connection = kept.get(port)
        if connection is None:
            if tls:
                context = ssl.create_default_context(cafile=self.people.certificates["ca"])
                context.load_cert_chain(self.people.certificates["crt"], self.people.certificates["key"])
                connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=context)
            else:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            kept[port] = connection
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {**(JSON if body is not None else {}), **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
            self.cookies.update(c.split(";")[0].split("=", 1) for c in answer.headers.get_all("Set-Cookie", []))
        except (OSError, http.client.HTTPException):
            connection.close()
            del kept[port]
            raise
        if answer.status != code:
            raise AssertionError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text

    def token(self, token):
        return {"Authorization": f"Bearer {token}"}

    # ---- what people do -------------------------------------------------------------------------------------

    def lists(self):
        self.ask(self.people.dashboard, "GET", f"{GROUP}/devices", headers=self.token(self.people.lister_token))

    def page(self):
        self.ask(self.people.dashboard, "GET", "/")

    def administrator(self):
        self.ask(self.people.api, "GET", f"{GROUP}/openhydrausers?limit=100", tls=True)

    def writes(self):
        """An administrator changes something."""
        patch = {"metadata": {"annotations": {"seen": str(time.time())}}}
        self.ask(self.people.api, "PATCH", f"{GROUP}/openhydrausers/{self.people.login_name}", patch, {"Content-Type": "application/merge-patch+json"},
                 tls=True)

    def notebook(self):
        headers = {"Cookie": self.people.lab_cookie}
        self.ask(self.people.lab_port, "GET", f"/api/contents/{self.people.lab_notebook}", headers=headers)

    def logs_in(self):
        """From the browser of every day: somebody who guesses from the same address may hold up a new one for a while."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.ask(self.people.dashboard, "POST", "/auth/login", {"username": self.people.login_name, "password": "password"}, {"Cookie": cookies})

    def kubectl(self):
        self.command("get", "devices", "-o", "name")

    def kubectl_control(self):
        self.command("version", "--client")

    def command(self, *args):
        env = {"PATH": os.environ["PATH"], "KUBECONFIG": self.people.kubeconfig, "HOME": "/nonexistent"}
        out = subprocess.run([self.people.kubectl, *args], env=env, capture_output=True, text=True, timeout=PATIENCE)
        if out.returncode != 0:
            raise AssertionError(out.stderr[-300:])

    def control(self):
        self.ask(self.control_port, "GET", "/")

    # ---- an environment, from the wish to running ------------------------------------------------------------

    def starts(self):
        people, who = self.people, self.token(self.people.starter_token)
        path = f"{GROUP}/devices/{people.starter_name}"
        wish = {"metadata": {"name": people.starter_name}, "spec": {"openHydraUsername": people.starter_name, "sandboxName": people.sandbox}}
        begin = time.monotonic()
        self.sample("asks to start", lambda: self.ask(people.dashboard, "POST", f"{GROUP}/devices", wish, who, 201))
        self.until(lambda: json.loads(self.ask(people.dashboard, "GET", path, headers=who))["status"].get("phase") == "Running", "running")
        self.samples.put(Sample("start", begin, time.monotonic() - begin))
        self.sample("asks to stop", lambda: self.ask(people.dashboard, "DELETE", path, headers=who))
        self.until(lambda: self.gone(path, who), "gone")

    def gone(self, path, who):
        try:
            self.ask(self.people.dashboard, "GET", path, headers=who)
        except AssertionError as e:
            if " 404 " in str(e):
                return True
            raise
        return False

    def until(self, check, what):
        end = time.monotonic() + PATIENCE
        while not check():
            if time.monotonic() > end:
                raise AssertionError(f"not {what} within {PATIENCE} s")
            time.sleep(0.05)

    # ---- again and again -------------------------------------------------------------------------------------

    def sample(self, what, do):
        begin, failure = time.monotonic(), ""
        try:
            return do()
        except (OSError, http.client.HTTPException, AssertionError, subprocess.SubprocessError) as e:
            failure = f"{type(e).__name__}: {e}"
            raise
        finally:
            self.samples.put(Sample(what, begin, time.monotonic() - begin, failure))

    def again(self, what, do, pause):
        while not self.stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError, subprocess.SubprocessError):
                if what:
                    self.sample(what, do)
                else:
                    do()
            self.stop.wait(pause)

    def run(self):
        work = [("control", self.control, 0.02), ("lists", self.lists, 0.1), ("opens the page", self.page, 0.2), ("administrator lists", self.administrator, 0.1),
                ("administrator writes", self.writes, 0.2), ("notebook", self.notebook, 0.1), ("logs in", self.logs_in, 0.7),
                ("kubectl", self.kubectl, 0.7), ("kubectl control", self.kubectl_control, 0.7), (None, self.starts, 0.2)]
        threads = [threading.Thread(target=self.again, args=w, daemon=True) for w in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response_only(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


class EchoServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True


def echo(port):
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        port.put(server.server_address[1])
        server.serve_forever()


def witness(people, samples, stop, control_port):
    Witness(people, samples, stop, control_port).run()
    samples.close()


class Watch:
    """The witnesses' process, and what they have seen so far."""

    def __init__(self, people):
        spawn = multiprocessing.get_context("spawn")
        self.queue, self.stop, ports = spawn.Queue(), spawn.Event(), spawn.Queue()
        self.echo = spawn.Process(target=echo, args=(ports,), daemon=True)
        self.echo.start()
        self.process = spawn.Process(target=witness, args=(people, self.queue, self.stop, ports.get(timeout=30)), daemon=True)
        self.process.start()
        self.samples = []
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self):
        while True:
            try:
                self.samples.append(self.queue.get())
            except (EOFError, OSError):
                return

    def close(self):
        self.stop.set()
        self.process.join(PATIENCE + 10)
        self.echo.kill()

    def between(self, begin, end):
        """What was under way in that time."""
        return [s for s in list(self.samples) if s.begin < end and s.begin + s.seconds > begin]
