"""An image run as an environment runs (hardened, no network, user namespace), for the images' checks."""
import base64
import hashlib
import http.client
import json
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BASE, SIZE = 1879113728, 65536


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, method, target, body=None, headers=None, timeout=60):
    connection = Connection(path, timeout)
    try:
        data = json.dumps(body) if body is not None else None
        connection.request(method, target, data, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def create_request(name, image, home, sockets, token, env):
    """What the runner asks Podman for. README.md shows the same."""
    mapping = [{"container_id": 0, "host_id": BASE, "size": SIZE}]
    return {
        "name": name,
        "image": image,
        "env": {"JUPYTER_TOKEN": token, "OPENHYDRA_SOCKET": "/run/open-hydra/environment.sock", **env},
        "user": "1000:1000",
        "work_dir": "/",
        "hostname": "jupyter",
        "terminal": False,
        "systemd": "false",
        "read_only_filesystem": True,
        "cap_drop": ["all"],
        "no_new_privileges": True,
        "netns": {"nsmode": "none"},
        "userns": {"nsmode": "private"},
        "idmappings": {"HostUIDMapping": False, "HostGIDMapping": False, "UIDMap": mapping, "GIDMap": mapping},
        "mounts": [
            {"destination": "/home/student", "type": "bind", "source": home,
             "options": ["rbind", "rslave", "nosuid", "nodev"]},
            {"destination": "/run/open-hydra", "type": "bind", "source": sockets,
             "options": ["bind", "rprivate", "nosuid", "nodev", "noexec"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
             "options": ["size=256m", "mode=1777", "nosuid", "nodev"]},
        ],
        "resource_limits": {
            "memory": {"limit": 2 << 30, "swap": 2 << 30},
            "cpu": {"period": 100000, "quota": 200000},
            "pids": {"limit": 256},
        },
        "shm_size": 64 << 20,
    }


class Environment:
    ready = "/api"  # what answers, without a secret, once it is ready

    def __init__(self, engine, image, **env):
        self.engine, self.image, self.env = engine, image, env
        self.token = secrets.token_hex(16)
        self.folder = tempfile.mkdtemp(prefix="check-", dir="/run")
        self.home, self.sockets = f"{self.folder}/home", f"{self.folder}/sockets"
        # The home is on the disk that homes are on, not in memory.
        self.disk = tempfile.mkdtemp(prefix="open-hydra-check-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        os.chmod(self.disk, 0o755)
        self.home = f"{self.disk}/home"
        os.mkdir(self.home, 0o700)
        os.chown(self.home, BASE + 1000, BASE + 1000)
        os.mkdir(self.sockets)
        options = f"size=64k,nr_inodes=16,mode=0710,uid={BASE + 1000},gid=0,nosuid,nodev,noexec,nosymfollow"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.sockets], check=True)
        self.socket = f"{self.sockets}/environment.sock"
        self.name = "check-" + secrets.token_hex(4)

    def start(self):
        begin = time.monotonic()
        request = create_request(self.name, self.image, self.home, self.sockets, self.token, self.env)
        status, body = ask(self.engine, "POST", "/v4.0.0/libpod/containers/create", request)
        assert status == 201, body
        created = time.monotonic()
        status, body = ask(self.engine, "POST", f"/v4.0.0/libpod/containers/{self.name}/start")
        assert status == 204, body
        started = time.monotonic()
        while True:
            try:
                if ask(self.socket, "GET", self.ready)[0] < 400:
                    break
            except OSError:
                pass
            assert time.monotonic() < begin + 60, self.log()
            time.sleep(0.005)
        ready = time.monotonic()
        return {"create": created - begin, "start": started - created, "jupyter": ready - started, "all": ready - begin}

    def log(self):
        return ask(self.engine, "GET", f"/v4.0.0/libpod/containers/{self.name}/logs?stdout=1&stderr=1")[1].decode(errors="replace")

    def remove(self):
        for _ in range(5):
            ask(self.engine, "DELETE", f"/v4.0.0/libpod/containers/{self.name}?force=true&timeout=0&v=true")
            if ask(self.engine, "GET", f"/v4.0.0/libpod/containers/{self.name}/exists")[0] == 404:
                break
            time.sleep(0.2)
        subprocess.run(["umount", self.sockets], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.disk, ignore_errors=True)

    def execute(self, *command, input=None, env=None):
        """Runs a command inside, as the student; its output, errors included."""
        settings = [f"--env={key}={value}" for key, value in (env or {}).items()]
        done = subprocess.run(["podman", "--url", f"unix://{self.engine}", "exec", "-i", "-w", "/home/student", *settings, self.name, *command],
                              input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240)
        assert done.returncode == 0, (command, done.returncode, done.stdout[-6000:])
        return done.stdout

    def give(self, path, content=b"", owner=BASE + 1000):
        """Puts a file into the home, its folders too."""
        path = f"{self.home}/{path}"
        for each in (os.path.dirname(path), path):
            if not os.path.exists(each):
                os.makedirs(each) if each != path else open(each, "wb").close()
                os.chown(each, owner, owner)
        with open(path, "wb") as file:
            file.write(content)

    def jupyter(self, method, target, body=None, timeout=60):
        status, data = ask(self.socket, method, target, body, {"Authorization": f"token {self.token}"}, timeout)
        return status, data

    def json(self, method, target, body=None, expect=200):
        status, data = self.jupyter(method, target, body)
        assert status == expect, (method, target, status, data[:500], self.log()[-2000:])
        return json.loads(data) if data else None


class WebSocket:
    """As much of RFC 6455 as a check needs."""

    def __init__(self, environment, target):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(environment.socket)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.sock.sendall(
            (f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
             f"Authorization: token {environment.token}\r\n\r\n").encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.fill()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        wanted = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert b" 101 " in head.split(b"\r\n")[0] and wanted in head, head

    def fill(self):
        more = self.sock.recv(65536)
        assert more, "the connection was closed"
        self.data += more

    def take(self, count):
        while len(self.data) < count:
            self.fill()
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def receive(self):
        while True:
            first, second = self.take(2)
            size = second & 127
            if size == 126:
                size = struct.unpack(">H", self.take(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.take(8))[0]
            data = self.take(size)
            if first & 15 in (1, 2):
                return data

    def send(self, value):
        data = json.dumps(value).encode()
        head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else b"\x81\xfe" + struct.pack(">H", len(data))
        # A mask of zeros is a mask.
        self.sock.sendall(head + bytes(4) + data)


class Kernel:
    """A kernel in which a test runs code, as a notebook does."""

    def __init__(self, env, name="python3"):
        self.env = env
        self.id = env.json("POST", "/api/kernels", {"name": name, "path": ""}, 201)["id"]
        self.channel = WebSocket(env, f"/api/kernels/{self.id}/channels")
        self.session = secrets.token_hex(8)

    def ask(self, kind, content):
        self.channel.send({"header": {"msg_id": secrets.token_hex(8), "username": "", "session": self.session, "msg_type": kind, "version": "5.3"},
                           "parent_header": {}, "metadata": {}, "channel": "shell", "content": content})

    def run(self, code):
        self.ask("execute_request", {"code": code, "silent": False})
        text, replied, idle = "", False, False
        while not (replied and idle):
            message = json.loads(self.channel.receive())
            kind, content = message["msg_type"], message["content"]
            if kind == "execute_result":
                text += content["data"]["text/plain"]
            elif kind == "stream":
                text += content["text"]
            elif kind == "error":
                text += "\n".join(content["traceback"])
            elif kind == "execute_reply":
                replied = True
            elif kind == "status" and content["execution_state"] == "idle" and message["parent_header"].get("msg_type") == "execute_request":
                idle = True
        return text

    def close(self):
        self.env.json("DELETE", f"/api/kernels/{self.id}", expect=204)


def engine():
    return subprocess.run([f"{ROOT}/tools/engine", "socket"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def run_checks(image, checks, keep=False, kind=Environment):
    """Starts an environment and calls every function of `checks` whose name begins with check_, in order."""
    env, good = kind(engine(), image), False
    try:
        print("  ".join(f"{key} {value:.2f} s" for key, value in env.start().items()))
        for name, function in list(checks.items()):
            if name.startswith("check_"):
                start = time.monotonic()
                function(env)
                print(f"ok {name.removeprefix('check_').replace('_', ' ')} ({time.monotonic() - start:.1f} s)")
        good = True
    finally:
        if good or not keep:
            if not good:
                print(env.log()[-3000:], file=sys.stderr)
            env.remove()
        else:
            print(f"left: {env.name}, {env.socket}, token {env.token}", file=sys.stderr)


def check_science(env):
    """What images/science gives to every image that stands on it."""
    for path in (".git/HEAD", ".git/objects/x", ".git/refs/x"):
        env.give(f"course-public/lesson/{path}", b"ref: refs/heads/main\n" if path.endswith("HEAD") else b"", owner=0)
    with open(f"{HERE}/science/inside.py", encoding="utf-8") as file:
        print(env.execute("/opt/python/bin/python3", "-", input=file.read()), end="")
    assert "2026" in env.execute("date", "-d", "2026-11-28 03:00 UTC", "+%F %H", env={"TZ": "PRC"})
    assert env.execute("date", "-d", "2026-11-28 03:00 UTC", "+%H", env={"TZ": "Asia/Chongqing"}).strip() == "11"
