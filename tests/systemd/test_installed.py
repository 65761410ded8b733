"""`make install` into a Debian whose first process is systemd: what its administrator does, in this order, on one machine."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from support.instance import Instance, wait_until
from support.lab import Kernel, Lab

pytestmark = [pytest.mark.root, pytest.mark.skipif("MACHINE_ROOT" not in os.environ, reason="tests/systemd/run starts these")]

SOURCE = pathlib.Path(__file__).resolve().parents[2]
UNITS = {part: f"open-hydra-{part}.service" for part in ("gateway", "server", "runner")}
SOCKETS = [f"open-hydra-{name}.socket" for name in ("gateway", "auth", "runner-api", "logs", "peers")]
USER, PASSWORD = "mei", "a student's own words"


class Machine(Instance):
    """The same clients as for a started `run`, for what systemd starts with the defaults of an installation."""

    def __init__(self):
        self.root = pathlib.Path(os.environ["MACHINE_ROOT"])
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="oh-"))
        self.data = self.root / "var/lib/open-hydra"
        self.dashboard_port, self.api_port, self.process, self.lines = 30001, 30443, None, []
        self.local, self.lock, self.certificates = threading.local(), threading.Lock(), {}

    def tool(self, command, *args):
        subprocess.run([SOURCE / "tests/systemd/machine", command, self.root, *args], check=True,
                       env={**os.environ, "MACHINE_NETWORK": "--ipc"})

    def boot(self):
        self.tool("start", os.environ["CGROUPS"])

    def shut_down(self):
        self.tool("stop")

    def make(self, target):
        subprocess.run(["make", "--no-print-directory", target, f"DESTDIR={self.root}"], cwd=SOURCE, check=True, stdout=subprocess.DEVNULL)

    def run(self, *args, check=True, **kwargs):
        out = subprocess.run([SOURCE / "tests/systemd/machine", "run", self.root, *args], capture_output=True, text=True, timeout=180, **kwargs)
        assert not check or out.returncode == 0, f"{args}: {out.stdout}{out.stderr}"
        return out

    def systemctl(self, *args):
        return self.run("systemctl", *args).stdout

    def show(self, unit, what):
        return self.systemctl("show", "--value", "-p", what, unit).strip()

    def pid(self, part):
        return int(self.show(UNITS[part], "MainPID"))

    def nginx(self):
        """Its master, beside which the gateway has the writer of its log."""
        return self.run("pgrep", "-P", str(self.pid("gateway")), "-x", "nginx").stdout.strip()

    def workers(self):
        return set(self.run("pgrep", "-P", self.nginx()).stdout.split())

    def journal(self, *args):
        return self.run("journalctl", "-b", "-o", "cat", *args).stdout

    def output(self):
        return self.journal("-u", "open-hydra*")

    def is_active(self, *units):
        return all(line == "active" for line in self.run("systemctl", "is-active", *units, check=False).stdout.split())

    def host_pid(self, pid):
        """A process of the machine as this side of its namespace knows it."""
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            numbers = re.search(r"^NSpid:\s+(.*)$", text, re.M)[1].split()
            if numbers[-1] == str(pid) and len(numbers) > 1 and os.stat(f"{status.parent}/root").st_ino == self.root.stat().st_ino:
                return int(status.parent.name), text
        raise AssertionError(f"no process {pid}")


def empty_root(root):
    """What an earlier run left of the product, so that this is its first installation."""
    for path in ("var/lib/open-hydra", "etc/open-hydra", "var/log/journal"):
        shutil.rmtree(root / path, ignore_errors=True)
    (root / "etc/systemd/system/podman.socket").unlink(missing_ok=True)
    for link in root.glob("etc/systemd/system/*.wants/open-hydra*"):
        link.unlink()


def engine_conf(m):
    """What the engine needs here, where this machine has less to give than a real one: see deploy/containers.conf.in."""
    conf = subprocess.run([SOURCE / "tools/engine", "conf"], capture_output=True, text=True, check=True).stdout
    dropped = "cgroup_manager|events_logger"
    if os.environ["CGROUPS"] == "unified":
        dropped += "|runtime"
        # Podman's own default asks for a controller that a hybrid host keeps for version 1.
        if "pids" not in m.run("cat", "/sys/fs/cgroup/cgroup.controllers").stdout.split():
            conf = conf.replace("[containers]\n", "[containers]\npids_limit = 0\n")
    return re.sub(f"^({dropped}).*\n", "", conf, flags=re.M)


@pytest.fixture(scope="module")
def machine():
    m = Machine()
    m.shut_down()
    m.make("uninstall")
    empty_root(m.root)
    m.boot()
    (m.root / "etc/containers").mkdir(exist_ok=True)
    (m.root / "etc/containers/containers.conf").write_text(engine_conf(m))
    m.systemctl("stop", "podman.service")  # started with the machine, before it said so
    try:
        m.run("podman", "rm", "-fa", check=False)
        archive = m.home / "jupyter-lab.tar"
        subprocess.run([SOURCE / "images/archive.py", "pack", archive, SOURCE / "build/images/jupyter-lab.json"], check=True)
        with archive.open("rb") as tar:
            m.run("podman", "load", "-q", stdin=tar)
        archive.unlink()
        yield m
    finally:
        m.shut_down()
        shutil.rmtree(m.home)


class Student:
    """One notebook, open all the time."""

    def __init__(self, machine):
        self.machine = machine
        self.session = machine.login(USER, PASSWORD)
        self.lab = Lab(*machine.environment(self.session, USER))
        self.kernel = self.lab.kernel()
        self.kernel.execute("kept = 41")

    def container(self):
        return self.machine.run("podman", "ps", "-q", "--no-trunc", "--filter", "label=open-hydra.owner=" + USER).stdout.split() or \
            self.machine.run("podman", "ps", "-q", "--no-trunc").stdout.split()

    def goes_on(self):
        """The connection that was open before."""
        assert self.kernel.execute("kept + 1") == "42"

    def again(self):
        """The same kernel by a new connection, as Jupyter makes it after one was cut."""
        self.kernel.socket.close()
        self.kernel = Kernel(self.lab, self.kernel.identity)
        self.goes_on()


@pytest.fixture(scope="module")
def student(machine):
    return Student(machine)


def wait_active(machine):
    wait_until(lambda: machine.is_active(*UNITS.values(), *SOCKETS), 30, what="all active")
    wait_until(lambda: machine.visitor().get("/healthz").status_code == 200, 30, what="it answers")


# ---- installed -------------------------------------------------------------------------------------------------------------


def test_install_and_enable(machine):
    machine.make("install")
    machine.systemctl("daemon-reload")
    machine.systemctl("enable", "--now", "open-hydra.target")
    # Started means ready: nothing to wait for.
    assert machine.visitor().get("/healthz").status_code == 200
    assert machine.is_active("open-hydra.target", *UNITS.values(), *SOCKETS)
    assert machine.systemctl("list-units", "--failed", "--plain", "--no-legend", "open-hydra*") == ""
    verified = machine.run("systemd-analyze", "verify", *(f"/usr/lib/systemd/system/{u}" for u in (*UNITS.values(), *SOCKETS)))
    assert "open-hydra" not in verified.stderr, verified.stderr


def test_first_administrator(machine):
    assert "`open-hydra-server setup`" in machine.output() and "code=" not in machine.output()
    link = machine.run("open-hydra-server", "setup").stdout.strip()
    code = re.fullmatch(r"http://127\.0\.0\.1:30001/setup\?code=(\S+)", link)[1]
    answer = machine.visitor().post("/auth/setup", json={"code": code, "username": "head", "password": "the head's own words"},
                                    headers={"Origin": machine.dashboard})
    assert answer.status_code in (200, 201), answer.text
    assert "administrator already" in machine.run("open-hydra-server", "setup").stdout
    machine.login("head", "the head's own words")


def test_kubectl(machine):
    assert os.stat(machine.kubeconfig).st_mode & 0o077 == 0
    assert "head" in machine.kubectl("get", "openhydrausers").stdout
    machine.kubectl("create", "-f", "-", input="apiVersion: open-hydra-server.openhydra.io/v1\nkind: OpenHydraUser\nmetadata: {name: %s}\n"
                    "spec: {password: \"%s\", role: 2}\n---\napiVersion: open-hydra-server.openhydra.io/v1\nkind: Device\n"
                    "metadata: {name: %s}\nspec: {openHydraUsername: %s}\n" % (USER, PASSWORD, USER, USER))
    device = machine.wait_phase(USER, "Running", 60)
    conditions = {c["type"]: c["status"] for c in device["status"]["conditions"]}
    assert conditions["Ready"] == conditions["UserNamespace"] == "True"


def test_password(machine):
    """argon2's memory within the unit's limits, and the way of a changed password."""
    out = machine.run("open-hydra-server", "passwd", USER, input="another of hers")
    assert "changed" in out.stdout
    machine.login(USER, "another of hers")
    machine.run("open-hydra-server", "passwd", USER, input=PASSWORD)


@pytest.mark.parametrize("part", ["server", "nginx", "hydra-log"])
def test_a_user_of_its_own(machine, part):
    pid = machine.pid("server") if part == "server" else \
        int(machine.run("pgrep", "-P", str(machine.pid("gateway")), "-x", part).stdout)
    status = machine.host_pid(pid)[1]
    uids = re.search(r"^Uid:\s+(.*)$", status, re.M)[1].split()
    assert set(uids) == {str(1879048193 if part == "server" else 1879048194)}
    capabilities = re.findall(r"^Cap(?:Inh|Prm|Eff|Bnd|Amb):\s+(\w+)$", status, re.M)
    assert len(capabilities) == 5 and all(int(v, 16) == 0 for v in capabilities)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)


def test_hardening(machine):
    """Less exposed than this, by systemd's own count (0 to 10, less is better)."""
    for part, most in (("server", 3.0), ("gateway", 4.0)):
        out = machine.run("systemd-analyze", "security", "--no-pager", f"--threshold={int(most * 10)}", UNITS[part], check=False)
        assert out.returncode == 0, out.stdout.splitlines()[-1]


def test_calls_are_filtered(student):
    """By our own profile: to the engine's, io_uring_setup (425 everywhere) is a call like others, or one that is not permitted."""
    assert student.kernel.execute("import ctypes, os; c = ctypes.CDLL(None, use_errno=True); (c.syscall(425, 0, 0), os.strerror(ctypes.get_errno()))") \
        == "(-1, 'Function not implemented')"


def test_usage(machine, student):
    student.lab.write("large.txt", "x" * (3 << 20))
    out = machine.run("open-hydra-server", "usage").stdout
    size, files = re.search(rf"^ *([\d.]+) +(\d+)  jupyter-lab/{USER}$", out, re.M).groups()
    assert float(size) > 3 and int(files) > 1 and "/var/lib/open-hydra/workspace: " in out


def test_a_pass_is_for_one_user_of_the_machine(machine, student):
    """The server has no network, and asks the kernel all the same whose process it is: also the next server."""
    headers, cookie = student.lab.headers()
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-A", "", "-b", cookie, "-H", headers[0], student.lab.base + "/api/contents"]

    def curl(**who):
        return subprocess.run(command, capture_output=True, text=True, cwd="/", **who).stdout

    for _ in range(2):
        assert curl() == "200"
        assert curl(user=65534, group=65534, extra_groups=[]) == "401"
        machine.systemctl("restart", UNITS["server"])


def test_what_nginx_says(machine, student):
    """In the journal, by its level and with the part that says it."""
    worker = machine.workers().pop()
    machine.run("kill", "-KILL", worker)
    wait_until(lambda: "gateway: nginx: [alert] " in machine.journal("-u", UNITS["gateway"], "-p", "err") and
               f"worker process {worker} exited on signal 9" in machine.journal("-u", UNITS["gateway"], "-p", "err"), 20, what="its line")
    student.again()


# ---- restarted, killed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["server", "runner"])
@pytest.mark.parametrize("how", ["restart", "kill"])
def test_an_open_notebook_stays(machine, student, part, how):
    before, container = machine.pid(part), student.container()
    if how == "restart":
        machine.systemctl("restart", UNITS[part])
    else:
        machine.systemctl("kill", "-s", "KILL", UNITS[part])
        # Requests wait for the new process: the sockets are systemd's.
        assert machine.visitor().get("/healthz").status_code == 200
    student.goes_on()
    wait_until(lambda: machine.pid(part) not in (0, before), 30, what="a new process")
    wait_active(machine)
    student.goes_on()
    time.sleep(1.5)
    assert student.container() == container and len(container) == 1
    assert machine.device(USER)["status"]["phase"] == "Running"
    assert student.session.get(f"devices/{USER}/log", params={"tailLines": 1}).text.strip()


def test_reload_of_the_gateway_cuts_nothing(machine, student):
    master, before = machine.nginx(), machine.workers()
    machine.systemctl("reload", UNITS["gateway"])
    wait_until(lambda: machine.workers() - before, 20, what="new workers")
    student.goes_on()
    assert machine.nginx() == master


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_the_gateway_comes_back(machine, student, how):
    before = machine.pid("gateway")
    machine.systemctl(*(["restart"] if how == "restart" else ["kill", "-s", "KILL"]), UNITS["gateway"])
    wait_until(lambda: machine.pid("gateway") not in (0, before), 30, what="a new process")
    wait_active(machine)
    student.again()


def test_nginx_killed_alone(machine, student):
    before = machine.pid("gateway")
    machine.run("kill", "-KILL", machine.nginx())
    wait_until(lambda: machine.pid("gateway") not in (0, before), 30, what="a new process")
    wait_active(machine)
    student.again()


def test_killed_over_and_over(machine, student):
    """systemd gives up on a service after five starts in ten seconds, unless it is told not to."""
    for part in ("server", "runner"):
        for _ in range(7):
            before = wait_until(lambda: machine.pid(part), 10, what="a process")
            machine.run("kill", "-9", str(before))
            wait_until(lambda: machine.pid(part) not in (0, before), 10, what="a new process")
    wait_active(machine)
    student.goes_on()


def test_a_port_in_use(machine, student):
    """Said with its remedy; the rest runs, and when the port is free the gateway does too."""
    machine.systemctl("stop", UNITS["gateway"])
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", machine.dashboard_port))
        taken.listen()
        assert machine.run("systemctl", "start", UNITS["gateway"], check=False).returncode != 0
        assert "is in use by another program: end that one" in machine.journal("-u", UNITS["gateway"], "-n", "20")
        assert machine.is_active(UNITS["server"], UNITS["runner"])
    wait_active(machine)
    student.again()


# ---- stopped, beside others ------------------------------------------------------------------------------------------------


def test_others_meet_what_runs(machine):
    for command in ("run", "down"):
        out = machine.run("open-hydra-server", command, check=False)
        assert out.returncode == 1 and re.search("running already|in use", out.stderr), out.stderr
    wait_active(machine)


def test_stop_and_start(machine, student):
    container = student.container()
    machine.systemctl("stop", "open-hydra.target")
    # The target is down before its parts are.
    wait_until(lambda: set(machine.run("systemctl", "is-active", *UNITS.values(), *SOCKETS, check=False).stdout.split()) == {"inactive"}, 20,
               what="all stopped")
    assert student.container() == container
    machine.systemctl("start", "open-hydra.target")
    wait_active(machine)
    student.again()
    assert student.container() == container


def test_configuration(machine, student):
    """A given certificate whose key only root may read; the whole is restarted by its target."""
    folder = machine.root / "etc/open-hydra"
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=first", "-keyout", folder / "key.pem", "-out",
                    folder / "cert.pem"], check=True, capture_output=True)
    (folder / "key.pem").chmod(0o600)
    (folder / "config.yaml").write_text("tlsCertificate: /etc/open-hydra/cert.pem\ntlsCertificateKey: /etc/open-hydra/key.pem\n"
                                        "dashboardListen: 0.0.0.0:30001\n")
    machine.systemctl("restart", "open-hydra.target")
    assert machine.is_active(*UNITS.values()), machine.output()[-3000:]
    assert subject() == "first"
    subprocess.run(["openssl", "req", "-x509", "-key", folder / "key.pem", "-subj", "/CN=second", "-out", folder / "cert.pem"], check=True,
                   capture_output=True)
    machine.systemctl("reload", UNITS["gateway"])
    wait_until(lambda: subject() == "second", 20, what="the new certificate")
    # State where the services may not write: said with its remedy.
    (machine.root / "srv/elsewhere").mkdir(exist_ok=True)
    (folder / "config.yaml").write_text("dataDirectory: /srv/elsewhere\n")
    # Not waited for: server and gateway, each tried every five seconds, may keep the target's job waiting for ever.
    machine.systemctl("restart", "--no-block", "open-hydra.target")
    wait_until(lambda: "ReadWritePaths=" in machine.journal("-u", UNITS["gateway"], "-p", "err"), 60, what="the remedy")
    shutil.rmtree(folder)
    machine.systemctl("restart", "open-hydra.target")
    wait_until(lambda: machine.is_active(*UNITS.values()), 60, what="all three again")
    student.again()


def subject():
    out = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:30001"], input="", capture_output=True, text=True).stdout
    return (re.search(r"subject=.*CN ?= ?(\w+)", out) or [None, None])[1]


def test_upgrade(machine, student):
    container = student.container()
    machine.make("install")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", "open-hydra.target")
    wait_active(machine)
    student.again()
    assert student.container() == container


def test_machine_restarts(machine, student):
    student.lab.write("notes.txt", "mine")
    machine.shut_down()
    machine.boot()
    wait_active(machine)
    machine.wait_phase(USER, "Running", 90)
    again = Student(machine)
    assert again.lab.read("notes.txt") == "mine"
    assert machine.systemctl("list-units", "--failed", "--plain", "--no-legend", "open-hydra*") == ""


def test_an_engine_of_its_own(machine):
    """Without Podman's socket the runner starts a service itself, from the same store: what runs is adopted."""
    student = Student(machine)
    container = student.container()
    machine.systemctl("mask", "--now", "podman.socket", "podman.service")
    for how in (["restart"], ["kill", "-s", "KILL"], ["restart"]):
        before = machine.pid("runner")
        machine.systemctl(*how, UNITS["runner"])
        wait_until(lambda: machine.pid("runner") not in (0, before), 30, what="a new process")
        wait_until(lambda: "engine.sock" in machine.journal("-u", UNITS["runner"], f"_PID={machine.pid('runner')}"), 30, what="its engine")
        wait_until(lambda: "container engine: Podman on /run/open-hydra" in machine.journal(f"_PID={machine.pid('runner')}"), 30, what="in use")
        wait_until(lambda: machine.device(USER)["status"]["phase"] == "Running", 30, what="running")
        student.goes_on()
        assert student.container() == container
    machine.admin().delete(f"devices/{USER}")
    machine.wait_gone(USER)
    machine.create_device(USER)
    machine.wait_phase(USER, "Running", 60)
    student = Student(machine)
    machine.systemctl("restart", UNITS["runner"])
    student.goes_on()
    machine.systemctl("unmask", "podman.socket", "podman.service")
    machine.systemctl("start", "podman.socket")


def test_journal_has_no_noise(machine):
    lines = machine.journal("-u", "open-hydra*", "-p", "warning").splitlines()
    assert not [line for line in lines if not re.search("left-over process|usually indicates|killed|Failed with result|Failed to start|engine|in use by another|ReadWritePaths|ended by itself", line)], lines
    assert len(machine.output().splitlines()) < 400


def test_remove(machine):
    machine.systemctl("disable", "--now", "open-hydra.target")
    out = machine.run("open-hydra-server", "down")
    assert USER in out.stdout
    assert machine.run("podman", "ps", "-aq").stdout == ""
    assert "open-hydra" not in machine.run("cat", "/proc/mounts").stdout
    machine.make("uninstall")
    left = machine.run("find", "/usr", "/etc", "(", "-name", "*open-hydra*", ")", "-print").stdout.split()
    assert left == []
    assert (machine.data / "workspace/jupyter-lab" / USER / "notes.txt").read_text() == "mine"
