"""Nothing in a home stops a start or makes it half work: each way to break one, with the real images' own servers.

One container for each image; in it a server for each home, started as an environment's is but for the container.
"""
import json
import os
import pathlib
import secrets
import subprocess
import time

import pytest
from any_home import CONFIGURED, HOMES_OF, JUPYTER, LAB, ROOT, STUDENT, UNWRITABLE, VSCODE, Home
from environment import Environment, Kernel, WebSocket, ask, engine

pytestmark = pytest.mark.root
START = {"jupyter-lab": "/opt/jupyter/bin/start", "vscode": "/opt/vscode/bin/start"}


class Homes:
    """A container whose home holds homes, on disk but for those that are full or read-only."""

    def __init__(self, image):
        self.image = image
        self.env = Environment(engine(), f"localhost/open-hydra/{image}:latest")
        self.env.ready = "/"
        self.mounts = []
        os.mkdir(f"{self.env.home}/homes")
        for name, make in HOMES_OF[image].items():
            home = Home(self.path(name))
            if make:
                make(home)
        self.mount_full("full")
        self.mount_read_only("read-only")

    def number(self, name):
        return list(HOMES_OF[self.image]).index(name)

    def path(self, name):
        return f"{self.env.home}/homes/{self.number(name)}"

    def mount(self, name, *options):
        subprocess.run(["mount", *options, self.path(name)], check=True)
        self.mounts.append(self.path(name))

    def mount_full(self, name):
        self.mount(name, "-t", "tmpfs", "-o", f"size=2m,mode=0700,uid={STUDENT},gid={STUDENT}", "tmpfs")
        notebook = pathlib.Path(self.path(name)) / "thesis.ipynb"
        notebook.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        os.chown(notebook, STUDENT, STUDENT)
        filler = pathlib.Path(self.path(name)) / "fill"
        with open(filler, "wb", buffering=0) as out:
            try:
                while True:
                    out.write(bytes(4096))
            except OSError:
                pass
        os.chown(filler, STUDENT, STUDENT)

    def mount_read_only(self, name):
        self.mount(name, "--bind", self.path(name))
        subprocess.run(["mount", "-o", "remount,bind,ro", self.path(name)], check=True)

    def remove(self):
        # Before the folder that they are in.
        for path in reversed(self.mounts):
            subprocess.run(["umount", "-l", path], check=False)
        self.env.remove()


class Server:
    """The image's server, with one of the homes."""

    def __init__(self, homes, name, **variables):
        self.homes, self.env = homes, homes.env
        self.token = secrets.token_hex(16)
        self.number = f"{homes.number(name)}-{secrets.token_hex(2)}"
        self.socket = f"{self.env.sockets}/{self.number}.sock"
        self.inside = f"/home/student/homes/{homes.number(name)}"
        values = {"HOME": self.inside, "OPENHYDRA_SOCKET": f"/run/open-hydra/{self.number}.sock", "JUPYTER_TOKEN": self.token,
                  "PATH": f"{self.inside}/.local/bin:/opt/python/bin:/opt/jupyter/bin:/usr/local/bin:/usr/bin:/bin", **variables}
        self.log_file = f"/tmp/{self.number}.log"
        command = f"{START[homes.image]} >{self.log_file} 2>&1 </dev/null & echo $!"
        self.pid = self.env.execute("sh", "-c", command, env=values).strip()

    def log(self):
        return self.env.execute("cat", self.log_file)

    def wait(self, path):
        end = time.monotonic() + 60
        while True:
            try:
                status = ask(self.socket, "GET", path)[0]
                if status < 400:
                    return
            except OSError:
                pass
            assert time.monotonic() < end and self.lives(), self.log()
            time.sleep(0.02)

    def lives(self):
        return self.env.execute("sh", "-c", f"kill -0 {self.pid} 2>/dev/null || echo ended").strip() != "ended"

    def stop(self):
        # The next one need not wait for its end; the socket's folder is small.
        self.env.execute("sh", "-c", f"kill {self.pid}; rm -f /run/open-hydra/{self.number}.sock")

    def jupyter(self, method, target, body=None, timeout=60):
        return ask(self.socket, method, target, body, {"Authorization": f"token {self.token}"}, timeout)

    def json(self, method, target, body=None, expect=200):
        status, data = self.jupyter(method, target, body)
        assert status == expect, (method, target, status, data[:500], self.log()[-3000:])
        return json.loads(data) if data else None


@pytest.fixture(scope="module")
def homes_of():
    """Made when first asked for, one container for each image."""
    made = {}

    def get(image):
        if not (ROOT / f"build/images/{image}.json").exists():
            pytest.skip(f"{image} was not built")
        if image not in made:
            made[image] = Homes(image)
            made[image].env.start()
        return made[image]

    yield get
    for each in made.values():
        each.remove()


@pytest.fixture
def serve(homes_of):
    servers = []

    def start(image, name, ready, **variables):
        servers.append(Server(homes_of(image), name, **variables))
        servers[-1].wait(ready)
        return servers[-1]

    yield start
    for each in servers:
        each.stop()


# ---- what a student sees -------------------------------------------------------------------------------------------


def page_of(server):
    status, body = server.jupyter("GET", "/lab")
    assert status == 200, (status, server.log()[-3000:])
    return json.loads(body.split(b'id="jupyter-config-data" type="application/json">')[1].split(b"</script>")[0])


def check_lab(server, off=()):
    page = page_of(server)
    assert page["baseUrl"] == "/" and page["appUrl"] == "/lab" and page["serverRoot"] == server.inside
    assert set(page["disabledExtensions"]) >= set(off) and "@jupyterlab/application-extension" not in page["disabledExtensions"]
    names = {each["name"] for each in page["federated_extensions"]}
    assert "@jupyter-widgets/jupyterlab-manager" in names and "lesson" not in names
    assert len(server.json("GET", "/lab/api/settings/")["settings"]) > 30
    assert "theme" in server.json("GET", "/lab/api/settings/@jupyterlab/apputils-extension:themes")["schema"]["properties"]
    server.json("GET", "/lab/api/workspaces")
    assert "data" in server.json("GET", "/lab/api/workspaces/default")
    assert server.jupyter("GET", "/api/config/notebook")[0] == 200


def check_refuses_strangers(server):
    assert ask(server.socket, "GET", "/api/contents")[0] == 403
    assert ask(server.socket, "POST", "/api/kernels", {}, {"Authorization": "token mine"})[0] == 403


def check_kernel(server):
    kernel = Kernel(server)
    assert kernel.run("6*7") == "42"
    assert kernel.run("import os; os.getcwd()") == repr(server.inside)
    kernel.close()


def check_files(server):
    """A notebook is saved, with a checkpoint, opened, and deleted with its folder."""
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    server.json("PUT", "/api/contents/new", {"type": "directory"}, 201)
    server.json("PUT", "/api/contents/new/a.ipynb", {"type": "notebook", "format": "json", "content": notebook}, 201)
    server.json("POST", "/api/contents/new/a.ipynb/checkpoints", expect=201)
    assert server.json("GET", "/api/contents/new/a.ipynb?content=1")["content"]["nbformat"] == 4
    assert len(server.json("GET", "/api/contents/new/a.ipynb/checkpoints")) == 1
    server.json("DELETE", "/api/contents/new", expect=204)
    assert server.jupyter("GET", "/api/contents/new")[0] == 404
    assert not os.path.exists(f"{server.env.home}/homes/{server.inside.rpartition('/')[2]}/.local/share/Trash")


def check_terminal(server):
    name = server.json("POST", "/api/terminals")["name"]
    channel = WebSocket(server, f"/terminals/websocket/{name}")
    channel.send(["stdin", 'echo "[$PWD|$((40+2))]"\r'])
    text = ""
    while f"[{server.inside}|42]" not in text:
        kind, *rest = json.loads(channel.receive())
        assert kind != "disconnect", text
        text += rest[0] if kind == "stdout" else ""
    server.json("DELETE", f"/api/terminals/{name}", expect=204)


def check_full(server, path):
    """A notebook opens, saving says what is wrong, and deleting mends it."""
    assert server.json("GET", "/api/contents/thesis.ipynb?content=1")["content"]["nbformat"] == 4
    assert server.jupyter("GET", "/api/contents/thesis.ipynb/checkpoints")[0] == 200
    assert server.jupyter("POST", "/api/contents/thesis.ipynb/checkpoints")[0] in (201, 403)
    status, answer = server.jupyter("PUT", "/api/contents/more.txt", {"type": "file", "format": "text", "content": "x" * 10000})
    assert status == 507 and "没有空间" in json.loads(answer)["message"], (status, answer)
    server.json("DELETE", "/api/contents/fill", expect=204)
    check_files(server)
    assert sorted(os.listdir(path))[-1] == "thesis.ipynb"


def check_kernels(server):
    listed = server.json("GET", "/api/kernelspecs")
    assert listed["default"] == "python3"
    assert listed["kernelspecs"]["python3"]["spec"]["argv"][0] == "/opt/python/bin/python3"


def check_student(server, saves=True, kernel=True):
    check_refuses_strangers(server)
    check_lab(server)
    check_kernels(server)
    if kernel:
        check_kernel(server)
    if saves:
        check_files(server)


# ---- Jupyter Lab ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [each for each in JUPYTER if each not in UNWRITABLE])
def test_jupyter_lab(serve, name):
    server = serve("jupyter-lab", name, "/api")
    # What is configured for the server says nothing to a kernel.
    check_student(server, kernel=name not in {**CONFIGURED, **LAB} or "manager" in name)


@pytest.mark.parametrize("name", ["no Python", "kernel of a venv that is gone", "ipython start file ends it", "user settings broken", "port"])
def test_the_log_names_what_was_left_out(serve, name):
    server = serve("jupyter-lab", name, "/api")
    check_kernel(server)
    server.json("GET", "/lab/api/settings/")
    said = [line for line in server.log().splitlines() if line.startswith("open-hydra: ")]
    wanted = {"no Python": "ConfigurationBroken: ", "kernel of a venv that is gone": "KernelIgnored: ", "ipython start file ends it": "KernelWithoutHome: ",
              "user settings broken": "ConfigurationBroken: ", "port": "SettingIgnored: "}[name]
    assert any(line.startswith(f"open-hydra: {wanted}") for line in said), said


def test_full_home(serve, homes_of):
    server = serve("jupyter-lab", "full", "/api")
    assert "open-hydra: HomeFull: " in server.log()
    check_student(server, saves=False)
    check_full(server, homes_of("jupyter-lab").path("full"))


def test_read_only_home(serve):
    server = serve("jupyter-lab", "read-only", "/api")
    assert "open-hydra: HomeNotWritable: " in server.log()
    check_student(server, saves=False)
    assert server.jupyter("PUT", "/api/contents/a.txt", {"type": "file", "format": "text", "content": "x"})[0] == 403


# What a home says wins over the rest, in safe mode too.
HARD = ["profile ends a shell", "ipython start file ends it", "usercustomize ends it", "programs of that name", "local is a file", "settings of somebody",
        "pipe for a workspace", "read-only"]


@pytest.mark.parametrize("name", HARD)
def test_jupyter_lab_in_safe_mode(serve, name):
    server = serve("jupyter-lab", name, "/api", OPENHYDRA_SAFE_MODE="1")
    check_student(server, saves=name not in UNWRITABLE)
    check_terminal(server)
    kernel = Kernel(server)
    assert kernel.run("import os, site; os.environ['IPYTHONDIR'], site.ENABLE_USER_SITE") == "('/tmp/open-hydra/home/ipython', False)"
    kernel.close()
    assert server.jupyter("PUT", "/lab/api/settings/@jupyterlab/apputils-extension:themes", {"raw": '{"theme": "JupyterLab Dark"}'})[0] == 204
    said = [line for line in server.log().splitlines() if "KernelWithoutHome" in line or "ConfigurationBroken" in line]
    assert said == [], said


# ---- what a user may set --------------------------------------------------------------------------------------------


def test_what_a_home_sets_is_used(serve):
    server = serve("jupyter-lab", "own settings", "/api")
    check_refuses_strangers(server)
    check_lab(server, off=["@jupyterlab/toc-extension"])
    check_files(server)
    assert server.json("GET", "/lab/api/settings/@jupyterlab/apputils-extension:themes")["settings"] == {"theme": "JupyterLab Dark"}
    assert ".hidden" in {each["name"] for each in server.json("GET", "/api/contents?content=1")["content"]}, "allow_hidden"
    specs = server.json("GET", "/api/kernelspecs")["kernelspecs"]
    assert set(specs) == {"python3", "python3-home", "mine"}, specs
    kernel = Kernel(server)
    assert kernel.run("import lesson_of_mine; lesson_of_mine.value") == "7"
    assert kernel.run("from_startup") == "8"
    kernel.close()
    other = Kernel(server, "mine")
    assert other.run("1+1") == "2"
    other.close()


# ---- VS Code -------------------------------------------------------------------------------------------------------


def check_vscode(server):
    assert ask(server.socket, "GET", "/")[0] == 302
    status, body = ask(server.socket, "GET", f"/?folder={server.inside}")
    assert status == 200 and b"vscode-workbench-web-configuration" in body


@pytest.mark.parametrize("name", list(VSCODE))
def test_vscode(serve, name):
    check_vscode(serve("vscode", name, "/"))


@pytest.mark.parametrize("name", ["full", "read-only", "data is a file", "pipe for settings", "settings broken"])
def test_vscode_in_safe_mode(serve, homes_of, name):
    before = sorted(os.listdir(homes_of("vscode").path(name)))
    server = serve("vscode", name, "/", OPENHYDRA_SAFE_MODE="1")
    check_vscode(server)
    assert "open-hydra: " not in server.log()
    assert sorted(os.listdir(homes_of("vscode").path(name))) == before, "it wrote into the home"
