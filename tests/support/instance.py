"""A whole open-hydra of its own for a test: data, runtime directory, ports; started with `run`, as a user starts it."""
import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import requests
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("OPENHYDRA_PROGRAM", ROOT / "build/asan/src/open-hydra-server"))
GROUP = "/apis/open-hydra-server.openhydra.io/v1"
SANITIZERS = {
    # The processes give up their rights, after which the leak check cannot look at its own threads; unit tests do that check.
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:handle_abort=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def free_ports(count):
    """First of `count` consecutive ports on the loopback address that nobody listens on now."""
    for first in range(20000 + os.getpid() % 200 * 50, 60000, count):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    s = stack.enter_context(socket.socket())
                    s.bind(("127.0.0.1", port))
                return first
            except OSError:
                continue
    raise RuntimeError("no free ports")


def wait_until(check, seconds=30, every=0.05, what="condition"):
    """The first truthy answer of check(); an AssertionError with the last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s (last: {answer!r})")
        time.sleep(every)


def kubectls():
    """Every kubectl here, by version: {"1.33": path}."""
    found = {}
    folders = os.environ.get("PATH", "").split(":") + ["/usr/lib/google-cloud-sdk/bin"]
    for folder in folders:
        for path in sorted(pathlib.Path(folder).glob("kubectl*")):
            if not re.fullmatch(r"kubectl(\.\d+\.\d+)?", path.name) or not os.access(path, os.X_OK):
                continue
            out = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True)
            with contextlib.suppress(ValueError, KeyError):
                version = json.loads(out.stdout)["clientVersion"]
                found.setdefault(f"{version['major']}.{version['minor'].rstrip('+')}", str(path))
    return found


class Relative(requests.Session):
    """`/path` is below `base`, a word without a slash in front («devices/x») is below the API's group."""

    def request(self, method, url, **kwargs):
        if url.startswith("/"):
            url = self.base + url
        elif "://" not in url:
            url = f"{self.base}{GROUP}/{url}"
        kwargs.setdefault("timeout", 60)
        return super().request(method, url, **kwargs)


class Browser(Relative):
    """As browsers do, it takes a Secure cookie from the loopback address over plain HTTP."""

    def __init__(self):
        super().__init__()
        self.trust_env = False

    def send(self, request, **kwargs):
        answer = super().send(request, **kwargs)
        for cookie in self.cookies:
            cookie.secure = False
        return answer


class Instance:
    PORTS = 160  # one for the dashboard, one for the API, the rest for environments

    def __init__(self, config=None, args=(), data=None, env=None, environments=None, program=PROGRAM):
        # A short path: sockets have 107 bytes. Open to the service users.
        self.home = pathlib.Path(data or tempfile.mkdtemp(prefix="oh-", dir="/tmp"))
        self.home.chmod(0o755)
        self.data = self.home / "data"
        self.runtime = self.home / "run"
        environments = environments or self.PORTS - 2
        first = free_ports(environments + 2)
        self.dashboard_port, self.api_port = first, first + 1
        self.environment_ports = (first + 2, first + environments + 1)
        self.config = {"hostIdBase": 1879048192 + 65536 * 1024, "hostIdRanges": 4096, **(config or {})}
        self.args, self.program = list(args), program
        self.popen = {}  # more for the process that `run` is started by
        self.env = {**os.environ, **SANITIZERS, **(env or {})}
        self.process = None
        self.lines = []
        self.setup_code = None
        self.local, self.lock, self.certificates = threading.local(), threading.Lock(), {}

    # ---- life -----------------------------------------------------------------------------------------------

    def command(self, name, *extra):
        config = self.home / "config.yaml"
        config.write_text(yaml.safe_dump(self.config))
        web = ROOT / "build/share/web"
        return [str(self.program), name, "--config", str(config), "--data", str(self.data), "--runtime", str(self.runtime),
                "--web", str(web), "--dashboard-listen", f"127.0.0.1:{self.dashboard_port}",
                "--api-listen", f"127.0.0.1:{self.api_port}",
                "--environment-listen", f"127.0.0.1:{self.environment_ports[0]}-{self.environment_ports[1]}",
                *self.args, *extra]

    def start(self, seconds=60):
        self.lines = []
        self.process = subprocess.Popen(self.command("run"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=self.env, start_new_session=True, **self.popen)
        self.reader = self._listen_to(self.process)
        wait_until(lambda: any("Ctrl-C stops" in line for line in self.lines) or self.process.poll() is not None, seconds,
                   what="start")
        assert self.process.poll() is None, "".join(self.lines)
        match = re.search(r"/setup\?code=(\S+)", "".join(self.lines))
        self.setup_code = match.group(1) if match else None
        return self

    def _listen_to(self, process):
        thread = threading.Thread(target=lambda: [self.lines.append(line) for line in process.stdout], daemon=True)
        thread.start()
        return thread

    def output(self):
        return "".join(self.lines)

    def stop(self, seconds=40):
        code = 0
        if self.process:
            code = self._end(self.process, seconds)
            self.reader.join(2)  # what it said last; an engine that it started may hold the pipe
        self.process = None
        self._check_sanitizers()
        return code

    def _end(self, process, seconds):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("it did not stop:\n" + self.output()[-4000:]) from None

    def _check_sanitizers(self):
        text = self.output()
        assert "ERROR: AddressSanitizer" not in text and "runtime error:" not in text and \
            "WARNING: ThreadSanitizer" not in text, text[-8000:]

    def kill(self):
        """kill -9 of the supervisor: the others end with it."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def child(self, name):
        """The process id of «server», «runner» or «nginx»."""
        want = {"server": "hydra-server", "runner": "hydra-runner", "nginx": "nginx"}[name]
        pids = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in pids:
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == want:
                    return int(pid)
        return None

    def down(self):
        return subprocess.run(self.command("down"), env=self.env, capture_output=True, text=True, timeout=120)

    def remove(self):
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, *exc):
        try:
            self.stop()
        finally:
            out = self.down()
            if exc[0] is None:
                assert out.returncode == 0, out.stdout + out.stderr
            self.remove()

    # ---- clients --------------------------------------------------------------------------------------------

    @property
    def dashboard(self):
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def kubeconfig(self):
        return str(self.data / "kubeconfig")

    def admin(self):
        """A requests session with the administrator's certificate; relative paths are the API's. One for each thread."""
        if not hasattr(self.local, "admin"):
            self.local.admin = Client(self)
        return self.local.admin

    def certificate_files(self):
        """ca, crt and key of the kubeconfig as files of their own."""
        text = pathlib.Path(self.kubeconfig).read_text()
        with self.lock:
            if text not in self.certificates:
                self.certificates[text] = self._write_certificates(yaml.safe_load(text), len(self.certificates))
            return self.certificates[text]

    def _write_certificates(self, config, number):
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        files = {}
        for name, text in (("crt", user["client-certificate-data"]), ("key", user["client-key-data"]),
                           ("ca", cluster["certificate-authority-data"])):
            path = self.home / f"client-{number}.{name}"
            path.write_bytes(base64.b64decode(text))
            files[name] = str(path)
        return files

    def kubectl_environment(self, **more):
        return {**os.environ, "KUBECONFIG": self.kubeconfig, "HOME": str(self.home), **more}

    def kubectl(self, *args, input=None, check=True, program=None, timeout=60, cwd=None, **env):
        program = program or shutil.which("kubectl") or next(iter(kubectls().values()))
        out = subprocess.run([program, *args], input=input, capture_output=True, text=True, timeout=timeout, cwd=cwd,
                             env=self.kubectl_environment(**env))
        if check:
            assert out.returncode == 0, f"kubectl {' '.join(args)}: {out.stdout}{out.stderr}"
        return out

    def login(self, user, password):
        """A requests session with the cookie and key of a login at the dashboard."""
        session = self.visitor()
        answer = session.post("/auth/login", json={"username": user, "password": password})
        assert answer.status_code == 200, answer.text
        session.headers["X-Open-Hydra-Session-Key"] = answer.json()["key"]
        session.headers["Origin"] = self.dashboard
        return session

    def visitor(self):
        """A browser at the dashboard that has not logged in."""
        session = Browser()
        session.base = self.dashboard
        return session

    def create_user(self, name, password="password", role=2, **spec):
        answer = self.admin().post("openhydrausers", json={"metadata": {"name": name},
                                                           "spec": {"password": password, "role": role, **spec}})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def create_device(self, user, name=None, **spec):
        answer = self.admin().post("devices", json={"metadata": {"name": name or user},
                                                    "spec": {"openHydraUsername": user, **spec}})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def device(self, name):
        answer = self.admin().get(f"devices/{name}")
        return answer.json() if answer.status_code == 200 else None

    def wait_phase(self, name, phase, seconds=60):
        def check():
            device = self.device(name)
            if device and device["status"].get("phase") == "Failed" and phase != "Failed":
                raise AssertionError(f"{name} failed: {device['status']}\n{self.output()[-3000:]}")
            return device if device and device["status"].get("phase") == phase else None
        return wait_until(check, seconds, what=f"{name} {phase}")

    def wait_gone(self, name, seconds=60):
        wait_until(lambda: self.device(name) is None, seconds, what=f"{name} gone")

    def environment(self, user_session, name):
        """A session that holds the environment's cookie, and its base URL: ticket and redemption as a plain client does it."""
        ticket = user_session.post(f"devices/{name}/ticket", json={})
        assert ticket.status_code == 201, ticket.text
        session = Browser()
        # A pass is for one browser: what sends it beside this session (a WebSocket, plain HTTP) names itself as little.
        session.headers["User-Agent"] = ""
        answer = session.get(ticket.json()["status"]["url"], allow_redirects=False)
        assert answer.status_code in (302, 303), f"{answer.status_code} {answer.text}"
        base = self.device(name)["status"]["urls"][0]
        return session, base


class WithoutRunner(Instance):
    """Gateway and server alone, each by itself as a service manager starts it: nobody writes but who asks them to."""

    def start(self, seconds=60):
        self.lines, self.parts = [], []
        for part in ("gateway", "serve"):
            process = subprocess.Popen(self.command(part), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                       env=self.env, start_new_session=True)
            self.parts.append((process, self._listen_to(process)))
            wait_until(lambda: process.poll() is not None or sum(line.endswith(" serving\n") for line in self.lines) == len(self.parts), seconds, what=part)
            assert process.poll() is None, self.output()
        return self

    def stop(self, seconds=40):
        codes = []
        for process, reader in reversed(self.parts):
            codes.append(self._end(process, seconds))
            reader.join(2)
        self.parts = []
        self._check_sanitizers()
        return max(codes, default=0)


class Client(Relative):
    """The API's port, with the administrator's certificate, or with none."""

    def __init__(self, instance, certificate=True):
        super().__init__()
        self.base = f"https://127.0.0.1:{instance.api_port}"
        files = instance.certificate_files()
        self.verify = files["ca"]
        if certificate:
            self.cert = (files["crt"], files["key"])
        self.trust_env = False
