"""From the wish to the first answer of Jupyter: ours through API and gateway, `podman run` of the stock image, and our
image by a bare `runc run`. In turn, with warm page cache, the three under the same limits: no network, Jupyter on a unix
socket in a bind mount."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

from support.instance import Instance
from support.unix import Connection
from world import ROOT

OURS, STOCK = "localhost/open-hydra/jupyter-lab:latest", "localhost/open-hydra/jupyter-lab-stock:latest"
TOKEN = "0123456789abcdef0123456789abcdef"
SOCKET = "/run/open-hydra/environment.sock"
WITHIN = 300
EVERY = 0.005


def until_answer(ask, begin, process=None, log=None):
    """Seconds from `begin` until ask() is true."""
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ask():
                return time.monotonic() - begin
        if time.monotonic() - begin > WITHIN:
            raise RuntimeError(f"no answer within {WITHIN} s")
        if process and process.poll() is not None:
            raise RuntimeError(f"it ended: {log.read_text()}")
        time.sleep(EVERY)


def ask_socket(path):
    connection = Connection(path, 10)
    try:
        connection.request("GET", "/api/status", headers={"Authorization": f"token {TOKEN}"})
        return connection.getresponse().status == 200
    finally:
        connection.close()


class Folders:
    """A home, a folder for the socket, owned by the id that Jupyter has."""

    def __init__(self, owner=1000):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="oh-cold-", dir="/tmp"))
        self.top.chmod(0o755)
        self.home, self.run = self.top / "home", self.top / "run"
        for folder in (self.home, self.run):
            folder.mkdir()
            os.chown(folder, owner, owner)

    def remove(self):
        shutil.rmtree(self.top, ignore_errors=True)


# ---- podman run of the stock image ------------------------------------------------------------------------------


class Podman:
    def __init__(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="oh-podman-", dir="/tmp"))
        conf = self.top / "containers.conf"
        conf.write_text(subprocess.run([ROOT / "tools/engine", "conf"], capture_output=True, text=True, check=True).stdout)
        self.env = {**os.environ, "CONTAINERS_CONF": str(conf)}

    def __call__(self, *args, check=True):
        out = subprocess.run(["podman", *args], env=self.env, capture_output=True, text=True, timeout=120)
        if check and out.returncode != 0:
            raise RuntimeError(f"podman {' '.join(args)}: {out.stderr}")
        return out.stdout.strip()

    def remove(self):
        shutil.rmtree(self.top, ignore_errors=True)


@contextlib.contextmanager
def stock(podman, number=0):
    """It runs until the end of the block, which gets the seconds."""
    folders, name = Folders(), f"open-hydra-bench-{os.getpid()}-{number}"
    try:
        begin = time.monotonic()
        podman("run", "--detach", "--name", name, "--network", "none", "--cap-drop", "all", "--read-only",
               "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:mode=1777", "--volume",
               f"{folders.home}:/home/student", "--volume", f"{folders.run}:/run/open-hydra", "--env",
               f"JUPYTER_TOKEN={TOKEN}", "--env", f"OPENHYDRA_SOCKET={SOCKET}", STOCK)
        yield until_answer(lambda: ask_socket(folders.run / "environment.sock"), begin)
    finally:
        podman("rm", "--force", "--time", "0", name, check=False)
        folders.remove()


# ---- a bare runc run of ours ------------------------------------------------------------------------------------


def bundle_config(root, config, folders):
    """What `runc spec` gives, with the image's command, read-only, without capabilities and network."""
    subprocess.run(["runc", "spec"], cwd=folders.top, check=True)
    spec = json.loads((folders.top / "config.json").read_text())
    spec["root"] = {"path": root, "readonly": True}
    spec["process"] |= {"terminal": False, "user": {"uid": 1000, "gid": 1000}, "cwd": "/",
                        "args": (config.get("Entrypoint") or []) + config["Cmd"],
                        "env": [*config["Env"], f"JUPYTER_TOKEN={TOKEN}", f"OPENHYDRA_SOCKET={SOCKET}"],
                        "noNewPrivileges": True, "capabilities": {}}
    spec["mounts"] += [
        {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
        {"destination": "/home/student", "type": "bind", "source": str(folders.home), "options": ["rbind", "nosuid", "nodev"]},
        {"destination": "/run/open-hydra", "type": "bind", "source": str(folders.run), "options": ["bind", "nosuid", "nodev"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=256m", "mode=1777"]}]
    spec["hostname"] = "bench"
    return spec


def bare(podman, root, config):
    folders, name = Folders(), f"open-hydra-bench-{os.getpid()}"
    state = ["runc", "--root", str(folders.top / "state")]
    try:
        (folders.top / "config.json").write_text(json.dumps(bundle_config(root, config, folders)))
        begin = time.monotonic()
        with open(folders.top / "log", "w") as log:
            process = subprocess.Popen([*state, "run", "--bundle", str(folders.top), name], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log)
        try:
            return until_answer(lambda: ask_socket(folders.run / "environment.sock"), begin, process,
                                folders.top / "log")
        finally:
            subprocess.run([*state, "kill", name, "KILL"], capture_output=True)
            process.wait(20)
            subprocess.run([*state, "delete", "--force", name], capture_output=True)
    finally:
        folders.remove()


# ---- ours -------------------------------------------------------------------------------------------------------


def ask_gateway(base, cookie):
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=20)
    try:
        connection.request("GET", "/api/status", headers={"Cookie": cookie})
        return connection.getresponse().status == 200
    finally:
        connection.close()


def ours(instance, session, user):
    begin = time.monotonic()
    instance.create_device(user)
    # The cookie is got while it starts.
    browser, base = instance.environment(session, user)
    cookie = "; ".join(f"{c.name}={c.value}" for c in browser.cookies)
    seconds = until_answer(lambda: ask_gateway(base, cookie), begin)
    instance.wait_phase(user, "Running")
    timings = instance.device(user)["status"].get("timings", {})
    assert instance.admin().delete(f"devices/{user}").status_code in (200, 202)
    instance.wait_gone(user)
    return seconds, timings


def run(report, starts):
    podman, times, phases = Podman(), {"ours": [], "stock": [], "bare": []}, []
    try:
        config = json.loads(podman("image", "inspect", OURS, "--format", "{{json .Config}}"))
        root = podman("image", "mount", OURS)
        with Instance() as instance:
            instance.create_user("student", password="student's password")
            session = instance.login("student", "student's password")
            # Not counted: what reads from the disk for the first time.
            for i in range(starts + 1):
                seconds, timings = ours(instance, session, "student")
                with stock(podman) as stock_seconds:
                    pass
                one = {"ours": seconds, "stock": stock_seconds, "bare": bare(podman, root, config)}
                if i == 0:
                    continue
                phases.append(timings)
                for name, value in one.items():
                    times[name].append(value)
    finally:
        podman("image", "unmount", OURS, check=False)
        podman.remove()
    tell(report, times, phases)


def spread(values):
    return f"{min(values):.2f}–{max(values):.2f} s in {len(values)} starts"


def tell(report, times, phases):
    mine, stock_s, bare_s = (statistics.median(times[n]) for n in ("ours", "stock", "bare"))
    parts = ", ".join(f"{k} {statistics.median(p.get(k, 0) for p in phases):.2f} s" for k in ("queued", "preparing", "starting"))
    report.add("create → answer through the gateway", mine, "s", note=f"{spread(times['ours'])}; {parts}")
    ratio, limit = mine / stock_s, 1.10 * bare_s + 0.15
    report.add("podman run of the stock image", mine, "s", stock_s, ratio, "≤ 0.80", ratio <= 0.8, spread(times["stock"]))
    report.add("runc run of our image", mine, "s", bare_s, mine / bare_s, f"≤ 1.10 × + 0.15 s ({limit:.2f} s)", mine <= limit,
               spread(times["bare"]))
