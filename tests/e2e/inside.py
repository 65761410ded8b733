"""Into environments, as a student gets there: a kernel behind nginx, or the hostile image's server by its socket on the host."""
import contextlib
import json
import pathlib
import re
import subprocess
import textwrap
import uuid

import websocket
from support.unix import ask
from support.instance import wait_until
from support.processes import children

HOSTILE = (pathlib.Path(__file__).parent / "hostile/server.py").read_text()
PYTHON = "/opt/jupyter/bin/python3"
SOCKET = "/run/open-hydra/environment.sock"
# A body of Python is run inside as a function's: what it returns comes back as JSON.
MARK = "\x01answer "


def host_id(hydra, name):
    return hydra.device(name)["status"]["hostId"]


def delete_users(hydra, *names):
    """With what runs for them."""
    for name in names:
        assert hydra.admin().delete(f"openhydrausers/{name}").status_code in (200, 202), name
    for name in names:
        wait_until(lambda: hydra.admin().get(f"openhydrausers/{name}").status_code == 404, 60, what=f"{name} gone")


# ---- the engine's and the kernel's view of an environment -----------------------------------------------------------------


def engine_socket(hydra):
    found = re.findall(r"container engine: \w+ on (\S+)", hydra.output())
    assert found, hydra.output()[-2000:]
    return found[-1]


def container(hydra, name):
    uid = hydra.device(name)["metadata"]["uid"]
    status, answer = ask(engine_socket(hydra), "GET", f"/v1.41/containers/open-hydra-{uid}/json")
    assert status == 200, answer
    return answer


def source(hydra, name, target):
    """Where on the host something is that is mounted at `target` inside."""
    return next(m["Source"] for m in container(hydra, name)["Mounts"] if m["Destination"] == target)


def socket_on_host(hydra, name):
    return source(hydra, name, str(pathlib.Path(SOCKET).parent)) + "/" + pathlib.Path(SOCKET).name


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def processes(root):
    """`root` and what descends from it, as the host numbers them."""
    found, new = [], [root]
    while new:
        pid = new.pop()
        if pathlib.Path(f"/proc/{pid}").exists():
            found.append(pid)
            new += children(pid)
    return found


def statuses(root):
    """Of `root` and what descends from it; what ends just then is left out."""
    found = []
    for pid in processes(root):
        with contextlib.suppress(OSError):
            found.append(status_of(pid))
    return found


# ---- system calls ---------------------------------------------------------------------------------------------------------

CALLS = pathlib.Path(__file__).parent / "hostile/calls.c"


def build_calls(home):
    """hostile/calls.c, for whoever runs in the environment of that home."""
    program = home / "calls"
    subprocess.run(["cc", "-static", "-O1", "-o", program, CALLS], check=True)
    program.chmod(0o755)


def check_calls(refused, works):
    """What it printed when asked for the one and the other."""
    refused, works = (dict(line.split() for line in text.strip().splitlines()) for text in (refused, works))
    assert len(refused) > 60 and "done" not in refused.values(), {name: end for name, end in refused.items() if end == "done"}
    assert len(works) > 10 and set(works.values()) == {"done"}, works
    # What programs fall back on: without it they would give up, or not start at all.
    expected = {"clone3": "ENOSYS", "socket-vsock": "EAFNOSUPPORT", "mount": "EPERM", "unshare-user": "EPERM"}
    assert {name: refused[name] for name in expected} == expected


# ---- the image that does what it is told --------------------------------------------------------------------------------


def make_sandbox(hydra, name="hostile", **spec):
    """A Sandbox of the Jupyter image whose command is hostile/server.py."""
    spec = {"cpuImageName": "localhost/open-hydra/jupyter-lab:latest", "command": [PYTHON, "-c", HOSTILE], "socket": SOCKET, **spec}
    answer = hydra.admin().post("sandboxes", json={"metadata": {"name": name}, "spec": spec})
    assert answer.status_code in (201, 409), answer.text
    return name


class Hostile:
    def __init__(self, hydra, name):
        self.hydra, self.name = hydra, name
        self.socket = socket_on_host(hydra, name)
        self.port = hydra.device(name)["status"]["port"]
        self.origin = f"http://127.0.0.1:{self.port}"

    def control(self, what, body=b"", timeout=60):
        status, answer = ask(self.socket, "POST", f"/.control/{what}", body, "text/plain", timeout)
        assert status == 200, answer
        return answer

    def run(self, code):
        """Runs it in there; what it puts into `result`."""
        answer = self.control("run", textwrap.dedent(code).encode())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def plan(self, path, body="environment", *headers, status=200):
        self.control("plan", json.dumps({path: [status, headers, body]}).encode())

    def seen(self):
        return self.control("seen")


def start_hostile(hydra, *names, sandbox="hostile", create=True, **spec):
    """A user and an environment of each name, all of them at once."""
    for name in names:
        if create:
            hydra.create_user(name)
        hydra.create_device(name, sandboxName=sandbox, **spec)
    for name in names:
        hydra.wait_phase(name, "Running", 120)
    return [Hostile(hydra, name) for name in names]


# ---- a real Jupyter -------------------------------------------------------------------------------------------------------


class Kernel:
    """A kernel in a student's environment, as the browser uses it."""

    def __init__(self, hydra, name, password="password"):
        self.session, self.base = hydra.environment(hydra.login(name, password), name)
        answer = self.session.post(f"{self.base}/api/kernels", headers={"Origin": self.base}, json={})
        assert answer.status_code == 201, answer.text
        self.id, self.client = answer.json()["id"], uuid.uuid4().hex
        self.socket = websocket.create_connection(
            f"{self.base.replace('http', 'ws', 1)}/api/kernels/{self.id}/channels?session_id={self.client}", origin=self.base,
            cookie="; ".join(f"{c.name}={c.value}" for c in self.session.cookies), timeout=90)

    def execute(self, code):
        """What the cell printed."""
        number, text = uuid.uuid4().hex, ""
        self.socket.send(json.dumps({
            "channel": "shell", "header": {"msg_id": number, "msg_type": "execute_request", "session": self.client, "username": "",
                                           "version": "5.3"},
            "parent_header": {}, "metadata": {}, "content": {"code": code, "silent": False, "store_history": False}}))
        while True:
            message = json.loads(self.socket.recv())
            if message["parent_header"].get("msg_id") != number:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                text += content["text"]
            elif kind == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return text

    def run(self, body, **values):
        """Runs a function's body in there, with `values` as its variables."""
        given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
        code = "def _student():\n" + textwrap.indent(given + textwrap.dedent(body), "    ") + \
            f"\nimport json as _json\nprint({MARK!r} + _json.dumps(_student()))"
        return json.loads(self.execute(code).rpartition(MARK)[2])

    def close(self):
        self.socket.close()


def start_jupyter(hydra, *names, users=True):
    """A user and a Jupyter of each name, at once; a kernel in each."""
    for name in names:
        if users:
            hydra.create_user(name)
        hydra.create_device(name)
    for name in names:
        hydra.wait_phase(name, "Running", 150)
    return [Kernel(hydra, name) for name in names]

