"""Server and runner as two processes that a test starts and kills apart, on the engine of this machine, with an image of one program."""
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

from support.instance import GROUP, ROOT, wait_until
from support.unix import Connection, ask

BUILD = pathlib.Path(os.environ.get("OPENHYDRA_BUILD", ROOT / "build/asan"))
IMAGE = "localhost/open-hydra/test-environment:latest"
LABEL = "io.openhydra.installation"
SANITIZERS = {"ASAN_OPTIONS": "abort_on_error=1:handle_abort=1", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
              "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}


def engine_socket():
    return subprocess.run([ROOT / "tools/engine", "socket"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def tar(files, folders=()):
    """{name: bytes} as an archive."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as out:
        for folder in folders:
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            out.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            out.addfile(info, io.BytesIO(data))
    return whole.getvalue()


def layer(program):
    """Of an image that is one program."""
    return tar({"environment": program.read_bytes()}, ("tmp", "home", "home/student", "run", "etc"))


def archive(program, name=IMAGE):
    """What `docker load` reads: one layer with one file."""
    only = layer(program)
    digest = hashlib.sha256(only).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/environment"], "User": "1000:1000"},
                         "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}).encode()
    identity = hashlib.sha256(config).hexdigest()
    manifest = json.dumps([{"Config": f"{identity}.json", "RepoTags": [name], "Layers": [f"{digest}.tar"]}]).encode()
    return identity, tar({"manifest.json": manifest, f"{identity}.json": config, f"{digest}.tar": only})


def load_image(engine):
    identity, data = archive(BUILD / "tests/runner/environment")
    status, image = ask(engine, "GET", f"/v1.41/images/{IMAGE}/json")
    if status == 200 and image["Id"].removeprefix("sha256:") == identity:
        return
    status, text = ask(engine, "POST", "/v1.41/images/load?quiet=1", data, "application/x-tar")
    assert status == 200, text


class Stack:
    def __init__(self, engine=None, config="", own_service=False, docker=False):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ohr-", dir="/tmp"))
        self.home.chmod(0o755)
        self.data, self.runtime = self.home / "data", self.home / "run"
        self.engine = engine
        self.own_service, self.docker = own_service, docker
        self.config = self.home / "config.yaml"
        self.config.write_text("hostIdBase: %d\nhostIdRanges: 2048\ndisableAuth: true\n%s" % (1879048192 - 65536 * 4500, config))
        self.processes = {}

    # ---- processes ------------------------------------------------------------------------------------------

    def command(self, name):
        command = [str(BUILD / "tests/runner/runner-harness"), name, str(self.data), str(self.runtime), str(self.config)]
        return command if self.own_service else [*command, str(self.engine)]

    def log(self, name):
        path = self.home / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, name, env=None):
        with open(self.home / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(self.command(name), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                                    env={**os.environ, **SANITIZERS, **(env or {})})
        if name == "server":
            wait_until(lambda: self.answers() or self.processes[name].poll() is not None, 30, what="server")
        if name == "runner":
            wait_until(lambda: self.listens() or self.processes[name].poll() is not None, 30, what="runner")
        assert self.processes[name].poll() is None, self.log(name)
        return self

    def listens(self):
        try:
            return ask(self.runtime / "logs.sock", "GET", "/healthz")[0] == 200
        except OSError:
            return False

    def answers(self):
        try:
            return ask(self.runtime / "runner.sock", "GET", "/readyz")[0] == 200
        except OSError:
            return False

    def stop(self, name, seconds=30):
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        code = process.wait(seconds)
        text = self.log(name)
        assert code == 0, f"{name} ended with {code}: {text[-6000:]}"
        assert "ERROR: AddressSanitizer" not in text and "runtime error:" not in text and "WARNING: ThreadSanitizer" not in text, text[-8000:]

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def down(self):
        return subprocess.run(self.command("down"), capture_output=True, text=True, timeout=120,
                              env={**os.environ, **SANITIZERS, **({"CONTAINER_HOST": "", "DOCKER_HOST": ""} if self.own_service else {})})

    def __enter__(self):
        try:
            self.start("server")
            self.sandbox("plain")
            return self.start("runner")
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, *exc):
        try:
            self.stop("runner")
            self.stop("server")
        finally:
            for process in self.processes.values():
                process.kill()
                process.wait()
            out = self.down()
            if exc[0] is None:
                assert out.returncode == 0, out.stdout + out.stderr
                assert self.mounts() == [] and self.places() == []
            shutil.rmtree(self.home, ignore_errors=True)

    # ---- the API --------------------------------------------------------------------------------------------

    def api(self, method, path, body=None, kind="application/json"):
        return ask(self.runtime / "gateway.sock", method, f"{GROUP}/{path}", body, kind, headers={"Host": "127.0.0.1:30001"})

    def sandbox(self, name, **spec):
        spec = {"cpuImageName": IMAGE, "socket": "/run/open-hydra/environment.sock", "readinessPath": "/", **spec}
        spec = {key: value for key, value in spec.items() if value is not None}
        status, answer = self.api("POST", "sandboxes", {"metadata": {"name": name}, "spec": spec})
        assert status == 201, answer

    def user(self, name):
        status, answer = self.api("POST", "openhydrausers", {"metadata": {"name": name}, "spec": {"role": 2}})
        assert status in (201, 409), answer

    def create(self, name, sandbox="plain", **spec):
        self.user(name)
        status, answer = self.api("POST", "devices", {"metadata": {"name": name},
                                                      "spec": {"openHydraUsername": name, "sandboxName": sandbox, **spec}})
        assert status == 201, answer
        return answer

    def device(self, name):
        status, answer = self.api("GET", f"devices/{name}")
        return answer if status == 200 else None

    def status(self, name):
        device = self.device(name)
        return device["status"] if device else {}

    def delete(self, name):
        return self.api("DELETE", f"devices/{name}")

    def wait(self, name, phase, seconds=30, **more):
        def check():
            status = self.status(name)
            if status.get("phase") == "Failed" and phase != "Failed":
                raise AssertionError(f"{name} failed: {status}\n{self.log('runner')[-3000:]}")
            return status if status.get("phase") == phase and all(status.get(k) == v for k, v in more.items()) else None
        try:
            return wait_until(check, seconds, what=f"{name} {phase} {more}")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.status(name)}\n{self.log('runner')[-3000:]}") from None

    def wait_gone(self, name, seconds=30):
        wait_until(lambda: self.device(name) is None, seconds, what=f"{name} gone")

    def condition(self, name, kind):
        return next((c for c in self.status(name).get("conditions", []) if c["type"] == kind), None)

    def route(self, name):
        """Where the gateway is told to take a request for that environment: (socket, authorization), or the status."""
        url = self.status(name)["urls"][0]
        host = url.split("//")[1]
        connection = Connection(self.runtime / "auth.sock")
        try:
            connection.request("GET", "/auth", headers={
                "X-Original-Method": "GET", "X-Original-URI": "/", "X-Original-Host": host, "X-Original-Port": host.split(":")[1],
                "X-Original-Scheme": "http", "X-Real-IP": "127.0.0.1"})
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            return answer.status
        return answer.headers["X-Open-Hydra-Endpoint"].removeprefix("unix:"), answer.headers["X-Open-Hydra-Authorization"]

    # ---- what is there --------------------------------------------------------------------------------------

    def containers(self):
        status, answer = ask(self.engine, "GET", "/v1.41/containers/json?all=true")
        assert status == 200
        mine = {d["metadata"]["uid"] for d in self.api("GET", "devices")[1]["items"]} if self.answers() else set()
        return [one for one in answer if str(self.runtime) in json.dumps(one.get("Mounts", "")) or
                one["Labels"].get("io.openhydra.device-uid") in mine]

    def inspect(self, uid):
        status, answer = ask(self.engine, "GET", f"/v1.41/containers/open-hydra-{uid}/json")
        return answer if status == 200 else None

    def uid(self, name):
        return self.device(name)["metadata"]["uid"]

    def mounts(self):
        lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        return [line for line in lines if f" {self.runtime}/env/" in line]

    def places(self):
        folder = self.runtime / "env"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []

    def socket(self, name):
        """The socket of an environment on the host."""
        source = next(m["Source"] for m in self.inspect(self.uid(name))["Mounts"] if m["Destination"] == "/run/open-hydra")
        return f"{source}/environment.sock"

    def inside(self, name, target):
        return ask(self.socket(name), "GET", target, timeout=10)
