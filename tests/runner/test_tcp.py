"""Images that listen on TCP and have no network: what hands the bytes on, what it may do, and what happens when somebody dies."""
import os
import pathlib
import signal
import socket
import threading
import time

import pytest

from support.instance import wait_until
from support.processes import is_running, of_user
from support.unix import Connection, ask

pytestmark = pytest.mark.root
PROGRAM = "systemd-socket-proxyd"
QUICK = {"ASK_SECONDS": "1", "ASK_AGAIN_MS": "300", "CHECK_SECONDS": "2"}


def web(stack, name="web", listen="0.0.0.0,8888", ports=(8888,), **spec):
    stack.sandbox(name, socket=None, ports=list(ports), env=[{"name": "LISTEN", "value": listen}], **spec)


def started(stack, user="ada", sandbox="web", **spec):
    stack.create(user, sandbox, **spec)
    return stack.wait(user, "Running")


def entrance(stack, name="ada"):
    return pathlib.Path(stack.route(name)[0])


def inside(stack, target, name="ada", method="GET", body=None):
    return ask(entrance(stack, name), method, target, body, "text/plain", timeout=20)


def relays(stack, name="ada"):
    """Processes of whoever hands the bytes on, by the user that is nobody else."""
    return of_user(stack.status(name)["hostId"] + 65535)


def first_process(stack, name="ada"):
    return stack.inspect(stack.uid(name))["State"]["Pid"]


def status_of(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


@pytest.fixture
def ada(stack):
    web(stack)
    started(stack)
    return stack


# ---- it is reached ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listen,ports,user", [
    ("0.0.0.0,8888", [8888], 0), ("127.0.0.1,3000", [{"name": "web", "port": 3000}], 1000), ("::,8080", [{"name": "x", "port": 8080}], 1000),
    ("::1,65535", [65535], 1000), ("0.0.0.0,80", [80], 1000), ("127.0.0.1,1", [{"port": 1, "name": "a-port-of-names"}], 33)])
def test_wherever_it_listens(stack, listen, ports, user):
    web(stack, listen=listen, ports=ports, runAsUser=user)
    started(stack)
    name = ports[0]["name"] if isinstance(ports[0], dict) else "port-0"
    assert entrance(stack).name == f"{name}.sock"
    status, text = inside(stack, "/who")
    assert status == 200 and f"uid {user} " in text and "user ada" in text
    assert stack.condition("ada", "Ready")["status"] == "True"
    assert pathlib.Path(f"/proc/{first_process(stack)}/net/route").read_text().count("\n") == 1, "a network"
    stack.delete("ada")
    stack.wait_gone("ada")
    assert stack.mounts() == [] and stack.places() == []


def test_several_ports_each_by_itself(stack):
    """The program listens on one: the other is no hindrance, and says nothing. A socket comes first."""
    web(stack, ports=[8888, {"name": "app", "port": 5000}])
    started(stack)
    assert entrance(stack).name == "port-0.sock" and not entrance(stack).with_name("app.sock").exists() and len(relays(stack)) == 1
    stack.delete("ada")
    stack.wait_gone("ada")
    stack.sandbox("both", ports=[5000], env=[])
    started(stack, "ada", "both")
    assert entrance(stack).name == "environment.sock" and inside(stack, "/")[0] == 200 and relays(stack) == []
    assert list(entrance(stack).parent.with_name(entrance(stack).parent.name + ".ports").iterdir()) == []
    stack.delete("ada")
    stack.wait_gone("ada")
    assert stack.mounts() == [] and stack.places() == []


def test_what_is_refused(stack):
    for field, ports in (("spec.ports[0]", [0]), ("spec.ports[0]", [65536]), ("spec.ports[0]", ["8888"]), ("spec.ports[0]", [-1]),
                         ("spec.ports[0].port", [{"name": "a"}]), ("spec.ports[0].name", [{"name": "A", "port": 1}]),
                         ("spec.ports[0].name", [{"name": "main", "port": 1}]), ("spec.ports[0].name", [{"name": "sixteen-letters-", "port": 1}]),
                         ("spec.ports[0].name", [{"name": 1, "port": 1}]), ("spec.ports[1]", [1, 1]), ("spec.ports[0]", [{"port": 1, "host": 2}]),
                         ("spec.ports[1]", [{"name": "a", "port": 1}, {"name": "a", "port": 2}])):
        status, answer = stack.api("POST", "sandboxes", {"metadata": {"name": "wrong"}, "spec": {"cpuImageName": "a:b", "ports": ports}})
        assert status == 422 and field in [c["field"] for c in answer["details"]["causes"]], (ports, answer)


def test_bodies_whole_and_both_ways(ada):
    body = os.urandom(24 << 20)
    connection = Connection(entrance(ada))
    answer = {}

    def read():
        response = connection.getresponse()
        answer["body"] = response.read()
    connection.putrequest("POST", "/echo")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    sock = connection.sock  # taken away once the answer has begun
    reader = threading.Thread(target=read)
    reader.start()
    sock.sendall(body)
    reader.join(60)
    assert answer["body"] == body


def test_an_answer_that_ends_with_its_connection_is_whole(ada):
    """Half of it is closed, with all that was written on its way still."""
    status, text = inside(ada, "/big?20")
    assert status == 200 and len(text) == 20 << 20


def test_an_upgraded_connection(ada):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(entrance(ada)))
        s.sendall(b"GET /upgrade HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(4096)
        assert head.startswith(b"HTTP/1.1 101 ")
        for message in (b"a", b"b" * 100000, b"\x00\xff"):
            s.sendall(message)
            got = b""
            while len(got) < len(message):
                got += s.recv(65536)
            assert got == message


# ---- what it may do, and what can be done to it ----------------------------------------------------------------------------


def test_what_hands_the_bytes_on_may_do_nothing_else(ada):
    pid, container = relays(ada)[0], first_process(ada)
    own, user = status_of(pid), ada.status("ada")["hostId"] + 65535
    assert pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode() == PROGRAM
    assert own["Uid"].split() == own["Gid"].split() == [str(user)] * 4 and own["Groups"].strip() == ""
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(own[name], 16) == 0, name
    assert own["NoNewPrivs"] == "1"

    def space(of, what):
        return os.readlink(f"/proc/{of}/ns/{what}")
    for what in ("net", "pid"):
        assert space(pid, what) == space(container, what) != space("self", what)
    for what in ("ipc", "uts"):
        assert space(pid, what) not in (space(container, what), space("self", what))
    root = pathlib.Path(f"/proc/{pid}/root")
    assert set(os.listdir(root)) <= {"lib", "lib64", "usr"} and set(os.listdir(root / "usr")) <= {"lib", "lib64"}
    mounts = [line.split() for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    assert mounts and all("ro" in one[5].split(",") and "nosuid" in one[5] and "nodev" in one[5] for one in mounts)
    # It is counted there a moment after it runs.
    def groups(of):
        return {line.split(":")[1]: line.split(":")[2] for line in pathlib.Path(f"/proc/{of}/cgroup").read_text().splitlines()}
    theirs = groups(container)
    bounds = {name: theirs[name] for name in (("memory", "pids", "cpu") if "memory" in theirs else ("",)) if theirs.get(name, "/") != "/"}
    assert bounds
    wait_until(lambda: bounds.items() <= groups(pid).items(), what=f"its groups to be {bounds}")
    opened = {os.readlink(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
    assert all(one == "/dev/null" or one.startswith(("socket:", "anon_inode:", "pipe:")) for one in opened), opened
    place = entrance(ada).parent
    assert (place.stat().st_uid, place.stat().st_gid, place.stat().st_mode & 0o777) == (0, 65500, 0o710)
    assert (entrance(ada).stat().st_uid, entrance(ada).stat().st_gid, entrance(ada).stat().st_mode & 0o777) == (0, 65500, 0o660)
    assert "nosymfollow" in next(line for line in ada.mounts() if f"{place} " in line)


def test_what_runs_cannot_touch_it(ada):
    """Not its socket, which is nowhere to be seen inside, not its process, nor what that has open."""
    assert all(str(entrance(ada).parent) not in mount["Source"] for mount in ada.inspect(ada.uid("ada"))["Mounts"])
    seen = pathlib.Path(f"/proc/{first_process(ada)}/mountinfo").read_text()
    assert entrance(ada).parent.name not in seen
    pid = relays(ada)[0]
    number = status_of(pid)["NSpid"].split()[-1]
    assert "Name:\tsystemd-socket-" in inside(ada, f"/read?/proc/{number}/status")[1]
    for path in ("environ", "maps", "mem", "fd/3", "root/usr", "auxv", "io"):
        status, text = inside(ada, f"/read?/proc/{number}/{path}")
        assert status == 500 and text in ("Permission denied", "Operation not permitted"), (path, text)
    assert inside(ada, f"/kill?{number}")[1] == "Operation not permitted"
    inside(ada, "/kill?-1")
    assert is_running(pid) and inside(ada, "/")[0] == 200


def test_many_connections_are_that_ones_alone(ada):
    started(ada, "bob")
    held = []
    try:
        for _ in range(400):
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].connect(str(entrance(ada)))
            held[-1].settimeout(20)
        assert sum(is_closed(s) for s in held[-100:]) == 100
        assert inside(ada, "/", "bob")[0] == 200
        assert len(os.listdir(f"/proc/{relays(ada)[0]}/fd")) <= 6 * 256 + 64
    finally:
        for s in held:
            s.close()
    wait_until(lambda: answers(ada), 30, what="room again")
    assert ada.status("ada").get("restarts", 0) == 0


def is_closed(s):
    try:
        return s.recv(10) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def answers(stack, name="ada"):
    try:
        return inside(stack, "/", name)[0] == 200
    except Exception:
        return False


# ---- when somebody dies ---------------------------------------------------------------------------------------------------


def test_it_is_started_again(ada):
    container = first_process(ada)
    for _ in range(3):
        pid = relays(ada)[0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: (found := relays(ada)) and pid not in found and answers(ada), 20, what="another one")
        time.sleep(1.1)  # one that ends at once counts as failed
    assert first_process(ada) == container and ada.status("ada").get("restarts", 0) == 0


def test_a_killed_runner_finds_it(ada):
    pid = relays(ada)[0]
    ada.kill("runner")
    assert answers(ada)
    ada.start("runner")
    time.sleep(3)
    assert relays(ada) == [pid] and answers(ada) and ada.status("ada").get("restarts", 0) == 0
    ada.kill("runner")
    os.kill(pid, signal.SIGKILL)
    ada.start("runner")
    wait_until(lambda: answers(ada), 20, what="another one")
    assert ada.status("ada").get("restarts", 0) == 0
    ada.delete("ada")
    ada.wait_gone("ada")
    assert ada.mounts() == [] and ada.places() == []


def test_it_ends_with_what_runs_whoever_is_there(ada):
    for runner in (True, False):
        pid = wait_until(lambda: relays(ada), what="it")[0]
        if not runner:
            ada.kill("runner")
        os.kill(first_process(ada), signal.SIGKILL)
        wait_until(lambda: not is_running(pid), 30, what="its end")
        if not runner:
            ada.start("runner")
        wait_until(lambda: answers(ada), 30, what="started again")
        ada.wait("ada", "Running")


@pytest.mark.parametrize("order", ["rhc", "rch", "hrc", "hcr", "crh", "chr"])
def test_killed_in_any_order_nothing_is_left_behind(ada, order):
    """Runner, what hands the bytes on, container."""
    pids = {"h": relays(ada)[0], "c": first_process(ada)}
    user = ada.status("ada")["hostId"] + 65535
    for one in order:
        if one == "r":
            ada.kill("runner")
        elif is_running(pids[one]):
            os.kill(pids[one], signal.SIGKILL)
    ada.start("runner")
    ada.wait("ada", "Running")
    wait_until(lambda: answers(ada) and len(relays(ada)) == 1, 30, what="reached again, by one")
    ada.delete("ada")
    ada.wait_gone("ada")
    assert ada.mounts() == [] and ada.places() == []
    wait_until(lambda: of_user(user) == [], what="its processes end")


def test_what_listens_no_more_is_started_again(stack):
    stack.stop("runner")
    stack.start("runner", QUICK)
    web(stack)
    started(stack)
    pid = first_process(stack)
    inside(stack, "/close")
    stack.wait("ada", "Running", 60, restarts=1)
    wait_until(lambda: answers(stack), 20, what="reached again")
    assert first_process(stack) != pid


def test_down_leaves_nothing(ada):
    pid = relays(ada)[0]
    ada.stop("runner")
    assert answers(ada)
    assert ada.down().returncode == 0
    assert not is_running(pid) and ada.mounts() == []
    assert str(ada.runtime) not in pathlib.Path("/proc/self/mountinfo").read_text()
