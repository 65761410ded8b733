"""`run` watches over the others: what ends, hangs, cannot start or is left behind, and what a start repairs."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from support.instance import ROOT, Client, Instance, wait_until
from support.processes import children, name_of, open_files

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def answers(instance):
    try:
        return instance.admin().get("/readyz", timeout=10).status_code == 200
    except OSError:
        return False


def pids_of(instance):
    """All of its processes: by what they hold open, so that those without a parent are found as well."""
    ours = (f"{instance.runtime}/lock", f"{instance.runtime}/nginx")
    pids = [int(folder.name) for folder in pathlib.Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if any(f.startswith(ours) for f in open_files(pid))]


def damage(instance):
    """The database: what the server finds at its next start. Returns how to mend it."""
    database = instance.data / "server/open-hydra.db"
    kept = {p: p.read_bytes() for p in database.parent.iterdir() if p.name.startswith("open-hydra.db")}
    owner = database.stat()
    for path in kept:
        if path != database:
            path.unlink()
    database.write_bytes(b"This is no database. " * 1000)

    def mend():
        for path in list(database.parent.glob("open-hydra.db*")):
            path.unlink()
        for path, content in kept.items():
            if not path.name.endswith("-shm"):
                path.write_bytes(content)
                os.chown(path, owner.st_uid, owner.st_gid)
    return mend


# ---- a server that cannot start --------------------------------------------------------------------------------------------


def test_a_server_that_cannot_start_is_answered_for(fresh):
    fresh.create_user("anna")
    admin, visitor = fresh.admin(), fresh.visitor()
    mend = damage(fresh)
    os.kill(fresh.child("server"), 9)
    wait_until(lambda: admin.get("/readyz", timeout=20).status_code == 503, 30, what="503")
    wait_until(lambda: "cannot start" in admin.get("openhydrausers", timeout=20).text, 30, what="the reason")
    deadline = time.monotonic() + 8
    bodies = set()
    while time.monotonic() < deadline:
        for ask in (lambda: admin.get("openhydrausers/anna", timeout=10),
                    lambda: visitor.post("/auth/login", json={"username": "anna", "password": "password"}, timeout=10),
                    lambda: admin.post("openhydrausers", json={"metadata": {"name": "bea"}, "spec": {"role": 2, "chineseName": "x" * 200000}},
                                       timeout=10)):
            answer = ask()
            assert answer.status_code == 503 and "Retry-After" not in answer.headers, answer.text
            bodies.add(answer.json()["message"])
        time.sleep(0.5)
    assert any("open-hydra.db" in body for body in bodies)
    text = fresh.output()
    assert len(re.findall(r"error open-hydra: the server cannot start: .*open-hydra.db", text)) == 1, text
    assert len([line for line in text.splitlines() if "server" in line and "starting it again" in line]) <= 3, text
    mend()
    wait_until(lambda: answers(fresh), 60, what="answers again")
    assert admin.get("openhydrausers/anna").status_code == 200
    wait_until(lambda: "the server is there again" in fresh.output(), 30, what="the log says it")


@needs_root
def test_serve_answers_as_well(fresh):
    """Under a service manager, which holds the sockets and starts it again."""
    fresh.stop()
    damage(fresh)
    process = subprocess.Popen(fresh.command("serve"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=fresh.env)
    try:
        text = wait_until(lambda: ask(fresh.runtime / "runner/runner.sock"), 30, what="an answer")
        head, body = text.split("\r\n\r\n", 1)
        assert head.startswith("HTTP/1.1 503 ") and "Retry-After" not in head
        status = json.loads(body)
        assert status["code"] == 503 and status["reason"] == "ServiceUnavailable" and "open-hydra.db" in status["message"]
        assert int(re.search(r"Content-Length: (\d+)", head).group(1)) == len(body.encode())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 3
    finally:
        process.kill()
        process.wait()


def ask(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        try:
            s.connect(str(path))
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            text = b""
            while piece := s.recv(65536):
                text += piece
        except OSError:
            return None
    return text.decode()


# ---- starting again ---------------------------------------------------------------------------------------------------------


def test_the_first_restart_is_at_once(fresh):
    """One that lived for a moment only is back as fast as one that lived for hours; only then are there pauses."""
    kill_again_and_again(fresh, "server", 3)
    wait_until(lambda: answers(fresh), 60, what="answers again")
    assert pauses(fresh, "server") in (["", "1", "2"], BEGUN_LATE[:3])


# Where the first had lived for five seconds, as on a slow machine: that one does not count.
BEGUN_LATE = ["", "", "1", "2"]


def kill_again_and_again(instance, name, times):
    """Each as soon as it is there."""
    pid = None
    for _ in range(times):
        pid = wait_until(lambda: (now := instance.child(name)) != pid and now, 60, what=f"another {name}")
        os.kill(pid, 9)


def pauses(instance, name):
    """In seconds, before it was started again."""
    return re.findall(rf"the {name} was ended by signal 9: starting it again(?: in (\d+) s)?$", instance.output(), re.M)


def test_what_ends_at_once_makes_no_busy_loop(fresh):
    """A runner that cannot start: a folder stands where a file of its own should."""
    lock = fresh.runtime / "runner"
    fresh.stop()
    fresh.args = ["--engine-socket", str(lock / "nothing-here")]
    fresh.start()
    kill_again_and_again(fresh, "runner", 4)
    wait_until(lambda: fresh.child("runner") is None, 30, what="its end")
    began = time.monotonic()
    wait_until(lambda: fresh.child("runner"), 30, what="a runner after its pause")
    assert pauses(fresh, "runner") in (["", "1", "2", "4"], BEGUN_LATE)
    assert time.monotonic() - began > 1
    fresh.stop()
    fresh.args = []
    fresh.start()


# ---- stopping ---------------------------------------------------------------------------------------------------------------


def test_what_hangs_is_killed_at_the_stop(fresh):
    runner = fresh.child("runner")
    os.kill(runner, signal.SIGSTOP)
    assert fresh.stop(60) == 0
    assert not os.path.exists(f"/proc/{runner}")
    assert "the runner does not end: it is killed" in fresh.output()


def test_children_end_with_a_supervisor_that_is_killed(fresh):
    """Whoever holds the pipe that tells them of its end: the kernel tells them too."""
    run = fresh.process.pid
    held = [open(f"/proc/{run}/fd/{fd.name}", "wb", buffering=0) for fd in pathlib.Path(f"/proc/{run}/fd").iterdir()
            if os.readlink(fd).startswith("pipe:") and fd.name not in "012" and writable(fd)]
    assert held
    others = [fresh.child(name) for name in ("server", "runner", "nginx")]
    try:
        fresh.kill()
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in others), 30, what="their end")
    finally:
        for file in held:
            file.close()
    fresh.start()


def writable(fd):
    info = (fd.parent.parent / "fdinfo" / fd.name).read_text()
    return int(re.search(r"flags:\s+(\d+)", info).group(1), 8) & 3 == os.O_WRONLY


def test_nginx_of_a_start_that_was_killed_is_ended(fresh):
    """Supervisor and master at once: nobody is left to end the workers, which hold the ports."""
    master = fresh.child("nginx")
    workers = children(master)
    assert workers
    others = [fresh.child("server"), fresh.child("runner")]
    os.kill(fresh.process.pid, signal.SIGSTOP)
    os.kill(master, 9)
    fresh.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in others), 20, what="the others' end")
    assert all(os.path.exists(f"/proc/{pid}") for pid in workers), "what this is about"
    # Of another user, whatever it holds open: not ours to end.
    with open(fresh.runtime / "nginx.lock") as lock:
        stranger = subprocess.Popen(["sleep", "600"], pass_fds=[lock.fileno()])
    try:
        fresh.start()
        assert stranger.poll() is None or os.geteuid() != 0
    finally:
        stranger.kill()
        stranger.wait()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), 30, what="their end, and that somebody has taken note")
    assert "nginx of a start that was killed is still there" in fresh.output()
    assert answers(fresh)


def test_a_start_right_after_a_kill(fresh):
    """Its children are about to end, and hold its locks for a moment."""
    for _ in range(5):
        fresh.kill()
        fresh.start()
    assert answers(fresh)


def test_a_foreign_program_is_not_ended(fresh):
    """What holds a port, but not our lock, is somebody else's."""
    fresh.stop()
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", fresh.dashboard_port))
        held.listen()
        out = subprocess.run(fresh.command("run"), capture_output=True, text=True, timeout=90, env=fresh.env)
        assert out.returncode == 1 and "in use by another program" in out.stderr
    fresh.start()


# ---- the gateway by itself, as a service starts it ------------------------------------------------------------------------------


class Service:
    def __init__(self, instance, name, below=()):
        self.lines = []
        self.process = subprocess.Popen([*below, *instance.command(name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=instance.env)
        threading.Thread(target=lambda: [self.lines.append(line) for line in self.process.stdout], daemon=True).start()

    def says(self, text, times=1):
        wait_until(lambda: sum(text in line for line in self.lines) >= times, 60, what=text)

    def nginx(self):
        return next((pid for pid in children(self.process.pid) if name_of(pid) == "nginx"), None)


def test_the_gateway_by_itself():
    instance = Instance(config={"certificateCheckSeconds": 3600})
    gateway = Service(instance, "gateway")
    try:
        gateway.says("serving")
        shown = subprocess.run(["ps", "-o", "args=", "-p", str(gateway.process.pid)], capture_output=True, text=True).stdout.strip()
        assert shown == "open-hydra-server: gateway"
        before = served_serial(instance)
        for name in ("server.crt", "server.key"):
            (instance.data / "pki" / name).unlink()
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: served_serial(instance) != before, 30, what="another certificate, when it is asked for")
        # It goes with nginx, to be started again at once; nobody of it stays.
        master = gateway.nginx()
        workers = children(master)
        os.kill(master, 9)
        assert gateway.process.wait(30) == 2
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), 20, what="the workers' end")
        gateway = Service(instance, "gateway")
        gateway.says("serving")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(30) == 0
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", instance.api_port))
            held.listen()
            gateway = Service(instance, "gateway")
            assert gateway.process.wait(30) == 1
            gateway.says("--api-listen")
    finally:
        gateway.process.kill()
        gateway.process.wait()
        instance.remove()


@needs_root
@pytest.mark.parametrize("name,part", [("gateway", "gateway"), ("serve", "server")])
def test_with_the_capabilities_of_its_unit(name, part):
    """Root with no more of root's rights than the unit leaves it: enough to begin, and to give up the rest."""
    unit = (ROOT / f"deploy/systemd/open-hydra-{part}.service.in").read_text()
    names = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M).group(1).lower().replace("cap_", "+").split()
    instance = Instance()
    service = Service(instance, name, ["setpriv", f"--bounding-set=-all,{','.join(names)}", "--"])
    try:
        service.says("serving")
        status = pathlib.Path(f"/proc/{service.nginx() or service.process.pid}/status").read_text()
        assert not re.search(r"^Cap...:\s*0*[1-9a-f]", status, re.M) and not re.search(r"^Uid:.*\b0\b", status, re.M), status
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0, service.lines
    finally:
        service.process.kill()
        service.process.wait()
        instance.remove()


# ---- certificates -----------------------------------------------------------------------------------------------------------


def served_serial(instance):
    pem = ssl.get_server_certificate(("127.0.0.1", instance.api_port))
    return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, capture_output=True, text=True, check=True).stdout


def test_a_renewed_certificate_is_served_while_running():
    with Instance(config={"certificateCheckSeconds": 1}) as instance:
        before, nginx = served_serial(instance), instance.child("nginx")
        for name in ("server.crt", "server.key"):
            (instance.data / "pki" / name).unlink()
        wait_until(lambda: served_serial(instance) != before, 30, what="another certificate")
        assert instance.child("nginx") == nginx and answers(instance)
        wait_until(lambda: "the server's certificate was renewed" in instance.output(), what="the line")
        # The kubeconfig as well, with the authority as it was.
        pathlib.Path(instance.kubeconfig).unlink()
        wait_until(lambda: pathlib.Path(instance.kubeconfig).exists(), 30, what="another kubeconfig")
        wait_until(lambda: pathlib.Path(instance.kubeconfig).read_text().endswith("open-hydra\n"), 30)
        assert Client(instance).get("devices").status_code == 200


def test_an_authority_is_not_made_over_its_key(fresh):
    key = (fresh.data / "pki/ca.key").read_bytes()
    certificate = (fresh.data / "pki/ca.crt").read_bytes()
    fresh.stop()
    (fresh.data / "pki/ca.crt").unlink()
    for command in ("run", "kubeconfig"):
        out = subprocess.run(fresh.command(command), capture_output=True, text=True, timeout=90, env=fresh.env)
        assert out.returncode == 1 and "restore ca.crt" in out.stderr, out.stderr
    assert (fresh.data / "pki/ca.key").read_bytes() == key
    (fresh.data / "pki/ca.crt").write_bytes(certificate)
    fresh.start()
    assert answers(fresh)


# ---- what it starts with, and what it gives away ---------------------------------------------------------------------------------


def limits(pid):
    line = next(line for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max open files"))
    return line.split()[3:5]


def test_the_limit_of_descriptors_is_raised(fresh):
    fresh.stop()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    fresh.popen = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))}
    fresh.start()
    for name in ("server", "runner"):
        soft, most = limits(fresh.child(name))
        assert soft == most and most == ("unlimited" if hard == resource.RLIM_INFINITY else str(hard)), name


@needs_root
def test_no_groups_of_whoever_started_it(fresh):
    fresh.stop()
    fresh.popen = {"extra_groups": [6, 999]}
    fresh.start()
    master = fresh.child("nginx")
    for pid in (fresh.child("server"), master, *children(master)):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^Groups:\s*$", status, re.M), status
        assert not re.search(r"^CapBnd:\s*0*[1-9a-f]", status, re.M), status


@needs_root
def test_data_copied_back_by_root(fresh):
    """`cp -r` gives all of it to root; and what a killed start left half-made is in nobody's way."""
    fresh.create_user("anna")
    fresh.stop()
    kept = fresh.home / "kept"
    subprocess.run(["cp", "-r", fresh.data, kept], check=True)
    shutil.rmtree(fresh.data)
    subprocess.run(["cp", "-r", kept, fresh.data], check=True)
    assert {p.lstat().st_uid for p in fresh.data.rglob("*")} == {0}
    (fresh.data / "pki/server.key.new").write_text("half")
    (fresh.data / "kubeconfig.new").write_text("half")
    fresh.start()
    assert fresh.admin().get("openhydrausers/anna").status_code == 200
    assert not (fresh.data / "pki/server.key.new").exists() and not (fresh.data / "kubeconfig.new").exists()
    for part in ("server", "gateway"):
        owner = (fresh.data / part).stat().st_uid
        assert owner != 0 and {p.lstat().st_uid for p in (fresh.data / part).rglob("*")} == {owner}


@needs_root
@pytest.mark.parametrize("name", ["gateway/pki/server.crt", "gateway/pki/server.key", "gateway/pki/ca.crt", "gateway/pki", "gateway/nginx.conf",
                                  "gateway/web", "gateway", "server", "server/open-hydra.db", "server/open-hydra.lock"])
def test_one_that_is_roots(fresh, name):
    fresh.stop()
    path = fresh.data / name
    path.chmod(0o700 if path.is_dir() else 0o600)
    os.chown(path, 0, 0)
    fresh.start()
    assert answers(fresh) and path.stat().st_uid != 0


@needs_root
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_start_on_a_full_disk(end):
    """Well enough to read, log in and free it; nothing is written that is as it should be already."""
    instance = Instance()
    instance.data.mkdir(mode=0o711)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0711", "tmpfs", instance.data], check=True)
    try:
        with instance:
            instance.create_user("anna")
            getattr(instance, end)()
            with open(instance.data / "filler", "wb", buffering=0) as filler:
                with pytest.raises(OSError):
                    while True:
                        filler.write(b"x" * 4096)
            before = instance.environment_ports
            instance.start()
            assert instance.environment_ports == before
            assert instance.admin().get("openhydrausers/anna").status_code == 200
            (instance.data / "filler").unlink()
            assert instance.admin().delete("openhydrausers/anna").status_code == 200
    finally:
        subprocess.run(["umount", instance.data], check=False)
        shutil.rmtree(instance.home, ignore_errors=True)
