"""What the benches share: a server without a runner, nginx to compare with, load, and the figures of processes."""
import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from support.instance import GROUP, Instance, ROOT
from support.unix import Connection

BUILD = pathlib.Path(os.environ["OPENHYDRA_BUILD"])
PROGRAMS = BUILD / "tests/bench"
USERS, DEVICES = f"{GROUP}/openhydrausers", f"{GROUP}/devices"
# As nginx says it to the server when kubectl has come with the administrator's certificate.
ADMIN = {"X-Open-Hydra-Listener": "api", "X-Client-Verify": "SUCCESS", "X-Client-Subject": "CN=bench,O=system:masters",
         "X-Client-Serial": "01"}
TICKS = os.sysconf("SC_CLK_TCK")


def user(name, **spec):
    return {"apiVersion": "open-hydra-server.openhydra.io/v1", "kind": "OpenHydraUser", "metadata": {"name": name},
            "spec": {"chineseName": "王小明", "description": "class 7b", "email": f"{name}@school.example", "role": 2,
                     **spec}}


def device(name):
    return {"apiVersion": "open-hydra-server.openhydra.io/v1", "kind": "Device", "metadata": {"name": name},
            "spec": {"openHydraUsername": name, "sandboxName": "jupyter-lab"}}


# ---- processes --------------------------------------------------------------------------------------------------


def children(pid):
    with contextlib.suppress(OSError):
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def cpu_seconds(pids):
    """User and system time of the processes and their children."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        for child in children(pid):
            total += cpu_seconds([child]) * TICKS
    return total / TICKS


def memory(pid):
    """(RSS, PSS) in MiB."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            found[name] = int(rest.split()[0]) / 1024
    return found["Rss"], found["Pss"]


def end(process, seconds=20):
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def raise_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


# ---- load -------------------------------------------------------------------------------------------------------


def hammer(where, path="/", headers=(), pids=(), **options):
    """One run of hammer.c; `where` is a socket's path or (host, port). Adds the servers' CPU time for each request."""
    command = [str(PROGRAMS / "hammer"), "--path", path]
    command += ["--tcp", f"{where[0]}:{where[1]}"] if isinstance(where, tuple) else ["--unix", str(where)]
    for name, value in dict(headers).items():
        command += ["--header", f"{name}: {value}"]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    before = cpu_seconds(pids)
    out = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if out.returncode != 0:
        raise RuntimeError(f"hammer: {out.stderr}")
    result = json.loads(out.stdout)
    result["server_us"] = (cpu_seconds(pids) - before) * 1e6 / max(1, result["answers"])
    if result["failed"]:
        raise RuntimeError(f"{result['failed']} of {result['answers'] + result['failed']} requests for {path} failed "
                           f"(status {result['wrong_status']})")
    return result


def wrk(port, path, headers, connections, seconds, pids=()):
    """Requests a second over TLS; every answer must be 2xx."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "--timeout", "10s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    before = cpu_seconds(pids)
    out = subprocess.run([*command, f"https://127.0.0.1:{port}{path}"], capture_output=True, text=True, timeout=300)
    text = out.stdout
    if out.returncode != 0 or "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"wrk: {text}{out.stderr}")
    rate = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("Requests/sec"))
    answers = next(int(line.split()[0]) for line in text.splitlines() if "requests in" in line)
    return {"rate": rate, "server_us": (cpu_seconds(pids) - before) * 1e6 / max(1, answers)}


def in_turn(rounds, ours, reference):
    """Both sides one after the other, several times, so that what else the machine does meets both. The ratio is the
    median of the rounds' ratios."""
    a, b = [], []
    for i in range(rounds):
        first, second = ((ours, a), (reference, b)) if i % 2 == 0 else ((reference, b), (ours, a))
        for run, results in (first, second):
            results.append(run())
    return {
        "ours": statistics.median(r["rate"] for r in a),
        "reference": statistics.median(r["rate"] for r in b),
        "ratio": statistics.median(x["rate"] / y["rate"] for x, y in zip(a, b)),
        "ours_us": statistics.median(r["server_us"] for r in a),
        "reference_us": statistics.median(r["server_us"] for r in b),
    }


# ---- our server -------------------------------------------------------------------------------------------------


class Server(Instance):
    """`serve`, and `gateway` where asked for: nobody runs environments, so that the bench says what state they are in."""

    PORTS = 1002

    def __init__(self, **config):
        super().__init__(config={"hostIdRanges": 20000, "hostIdBase": 1879048192, **config})
        self.server = self.gateway = None
        self.log = self.home / "server.log"
        self.socket = self.runtime / "gateway/gateway.sock"
        self.runner_socket = self.runtime / "runner/runner.sock"

    def start(self, gateway=False):
        begin = time.monotonic()
        with open(self.log, "ab") as log:
            at = log.tell()
            self.server = subprocess.Popen(self.command("serve"), stdout=log, stderr=log, env=self.env)
        self._wait_for(lambda: b" serving" in self.log.read_bytes()[at:])
        self.ready_seconds = time.monotonic() - begin
        self._wait_for(self._answers)
        self.answer_seconds = time.monotonic() - begin
        if gateway:
            with open(self.log, "ab") as log:
                self.gateway = subprocess.Popen(self.command("gateway"), stdout=log, stderr=log, env=self.env)
            self._wait_for(lambda: all(self._connects(p) for p in (self.dashboard_port, self.api_port)))
        return self

    def _wait_for(self, check, seconds=60):
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline or self.server.poll() is not None:
                raise RuntimeError("it did not start:\n" + self.log.read_text()[-3000:])
            time.sleep(0.001)

    def _answers(self):
        with contextlib.suppress(OSError):
            return self.ask("GET", "/readyz")[0] == 200
        return False

    @staticmethod
    def _connects(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def stop(self, seconds=40):
        end(self.gateway, seconds)
        end(self.server, seconds)
        self.gateway = self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
        self.remove()

    @property
    def pids(self):
        return [self.server.pid]

    @property
    def gateway_pids(self):
        return [self.server.pid, self.gateway.pid]

    def ask(self, method, path, body=None, socket=None, headers=None):
        connection = Connection(socket or self.socket)
        try:
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or ADMIN)})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] == b"{" else text
        finally:
            connection.close()

    def create(self, collection, make, count, first=0, connections=64):
        """`count` objects named user-N."""
        body = json.dumps(make("user-%N"), ensure_ascii=False)
        return hammer(self.socket, collection, {**ADMIN, "Content-Type": "application/json"}, self.pids, method="POST",
                      body=body, requests=count, first=first, connections=connections, expect=201)

    def admin_token(self, name="bench-admin", password="bench password"):
        status, body = self.ask("POST", USERS, user(name, role=1, password=password))
        assert status == 201, body
        import requests
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(f"{self.dashboard}/auth/login",
                                  json={"username": name, "password": password, "bearer": True})
        assert answer.status_code == 200, answer.text
        return answer.json()["token"]


# ---- nginx to compare with --------------------------------------------------------------------------------------


class Nginx:
    """An nginx with a given body of the http block; as many workers as the machine has processors, as ours."""

    def __init__(self, http):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="oh-nginx-", dir="/tmp"))
        self.home.chmod(0o755)
        self.http = http.replace("@HOME@", str(self.home))
        self.process = None

    def __enter__(self):
        conf = self.home / "nginx.conf"
        conf.write_text(f"""
            daemon off; {'user root;' if os.geteuid() == 0 else ''} pid {self.home}/pid; worker_processes auto; error_log stderr warn;
            worker_rlimit_nofile 16384;
            events {{ worker_connections 4096; }}
            http {{
                access_log off; server_tokens off; default_type application/json;
                keepalive_requests 1000000000; keepalive_timeout 75s;
                client_max_body_size 3m; client_body_temp_path {self.home}/body; proxy_temp_path {self.home}/proxy;
                fastcgi_temp_path {self.home}/fastcgi; uwsgi_temp_path {self.home}/uwsgi; scgi_temp_path {self.home}/scgi;
                sendfile on; open_file_cache max=100; proxy_max_temp_file_size 0;
                {self.http}
            }}""")
        self.process = subprocess.Popen(["nginx", "-e", "stderr", "-p", str(self.home), "-c", str(conf)],
                                        stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while not (self.home / "pid").exists() or len(children(self.process.pid)) < 1:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                said = self.process.stderr.read().decode()
                self.__exit__()
                raise RuntimeError("nginx: " + said)
            time.sleep(0.01)
        return self

    def __exit__(self, *exc):
        end(self.process)
        self.process.stderr.close()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def pids(self):
        return [self.process.pid]


def one_free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def memory_file(text):
    """A file that is not on a disk."""
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
    f = tempfile.NamedTemporaryFile(prefix="oh-bench-", dir=folder)
    f.write(text)
    f.flush()
    os.chmod(f.name, 0o644)
    return f


__all__ = [name for name in dir() if not name.startswith("_")] + ["ROOT"]
