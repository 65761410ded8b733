"""`run` by an ordinary user: server, runner and gateway are that user, environments run on rootless Podman as ids that are no account."""
import contextlib
import os
import pathlib
import socket

import pytest

from inside import build_calls, check_calls, status_of
from runner.stack import BUILD, IMAGE, archive
from support.instance import wait_until
from support.lab import Student
from support.ordinary import Ordinary, OrdinaryInstance, usable_podman
from support.processes import children
from support.unix import ask

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def user():
    why = usable_podman()
    if why:
        pytest.skip(why)
    user = Ordinary()
    try:
        engine = user.start_service()
        user.load(engine)
        status, text = ask(engine, "POST", "/v1.41/images/load?quiet=1", archive(BUILD / "tests/runner/environment")[1], "application/x-tar")
        assert status == 200, text
        # The instance starts one of its own, as `make run` does.
        user.stop_service()
        yield user
    finally:
        user.remove()


@pytest.fixture(scope="module")
def hydra(user):
    sets = user.folder("sets")
    (sets / "table").write_text("shared")
    with OrdinaryInstance(user, {"allowRootImages": True, "datasetBasePath": str(sets)}) as instance:
        instance.create_user("headmaster", "the-head-knows", role=1)
        yield instance


class Owner(Student):
    @property
    def place(self):
        """The folder of its socket, as runner and gateway see it."""
        return socket_folder(self.hydra, self.name)


def socket_folder(hydra, name):
    mounts = container(hydra, name)["Mounts"]
    return hydra.inside(next(m["Source"] for m in mounts if m["Destination"] == "/run/open-hydra"))


def container(hydra, name):
    uid = hydra.device(name)["metadata"]["uid"]
    status, answer = ask(hydra.runtime / "engine/engine.sock", "GET", f"/v1.41/containers/open-hydra-{uid}/json")
    assert status == 200, answer
    return answer


@pytest.fixture(scope="module")
def ada(hydra):
    return Owner(hydra, "ada")


def condition(device, kind):
    return next(c for c in device["status"]["conditions"] if c["type"] == kind)


# ---- who is who -------------------------------------------------------------------------------------------------------------


def test_all_three_are_that_user(hydra, user):
    nginx = hydra.child("nginx")
    workers = children(nginx)
    for pid in (hydra.process.pid, hydra.child("server"), hydra.child("runner"), nginx, *workers):
        assert status_of(pid)["Uid"].split() == status_of(pid)["Gid"].split() == [str(user.uid)] * 4
    for pid in (hydra.process.pid, hydra.child("server"), nginx, *workers):
        assert int(status_of(pid)["CapPrm"], 16) == int(status_of(pid)["CapEff"], 16) == 0, pid
    for pid in (hydra.child("server"), nginx, *workers):
        assert status_of(pid)["NoNewPrivs"] == "1"


def test_the_server_stays_outside(hydra):
    def space(pid, kind):
        return os.readlink(f"/proc/{pid}/ns/{kind}")

    run, server, runner, nginx = hydra.process.pid, hydra.child("server"), hydra.child("runner"), hydra.child("nginx")
    assert space(run, "user") == space("self", "user") and space(server, "mnt") == space(run, "mnt")
    # One of its own, where it is the same user without any right: that gives it a network with nothing in it.
    assert space(server, "user") not in (space(run, "user"), space(runner, "user"), space(nginx, "user"))
    assert space(server, "net") != space(run, "net") == space(nginx, "net")
    assert int(status_of(server)["CapBnd"], 16) == 0
    assert space(runner, "mnt") == space(nginx, "mnt") != space(run, "mnt")
    assert space(runner, "user") != space(nginx, "user") != space(run, "user")


def test_a_kernel_answers_through_the_gateway(ada):
    assert ada.run("1+1") == "2"
    assert ada.run("open('/home/student/mine', 'w').write('x')") == "1"


def test_the_status_says_what_cannot_be_had(ada):
    namespace = condition(ada.device, "UserNamespace")
    assert namespace["status"] == "False" and "subordinate id" in namespace["message"]
    limits = condition(ada.device, "ResourceLimitsEnforced")
    controllers = ask(ada.hydra.runtime / "engine/engine.sock", "GET", "/v4.0.0/libpod/info")[1]["host"].get("cgroupControllers") or []
    enforced = {"memory", "cpu", "pids"} <= set(controllers)
    assert (limits["status"] == "True") == enforced and (enforced or "cgroup" in limits["message"])


def test_inside_is_neither_the_user_nor_an_account(ada, user):
    pid = container(ada.hydra, "ada")["State"]["Pid"]
    process = status_of(pid)
    # User 1000 of the image is the thousandth subordinate id.
    assert process["Uid"].split() == process["Gid"].split() == [str(user.SUBORDINATE + 999)] * 4
    assert int(process["CapEff"], 16) == int(process["CapBnd"], 16) == 0
    assert process["NoNewPrivs"] == "1" and process["Seccomp"] == "2"
    mounts = {line.split()[4]: line for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()}
    assert mounts["/"].split()[5].startswith("ro")
    for path in ("/run/open-hydra", "/home/student", "/tmp"):
        assert "nosuid,nodev" in mounts[path], mounts[path]
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(mounts["/home/student/dataset-public"].split()[5].split(","))
    assert ada.run("open('/home/student/dataset-public/table').read()") == "'shared'"
    assert pathlib.Path(f"/proc/{pid}/net/route").read_text().count("\n") == 1, "a network"
    home = ada.hydra.data / "workspace/jupyter-lab/ada"
    assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (user.SUBORDINATE + 999, 0o700)
    assert (home.parent.stat().st_uid, home.parent.stat().st_mode & 0o777) == (user.uid, 0o700)


def test_system_calls(hydra, ada):
    build_calls(hydra.data / "workspace/jupyter-lab/ada")
    kernel = ada.lab().kernel()
    say = "import subprocess; print(subprocess.run(['/home/student/calls', %r], capture_output=True, text=True).stdout)"
    check_calls(*(kernel.execute(say % what) for what in ("refused", "works")))
    kernel.close()


def test_the_sockets_folder(ada, user):
    place = ada.place
    assert (place.stat().st_uid, place.stat().st_gid, place.stat().st_mode & 0o777) == (user.SUBORDINATE + 999, user.uid, 0o710)
    path = "/" + str(place).split("/root/", 1)[1]
    for child in ("nginx", "runner"):
        lines = pathlib.Path(f"/proc/{ada.hydra.child(child)}/mountinfo").read_text().splitlines()
        assert "nosymfollow" in next(line for line in lines if f" {path} " in line)
    # Outside there is a folder that only its user may enter, with nothing in it: nothing to be led astray by.
    assert list(pathlib.Path(path).iterdir()) == [] and pathlib.Path(path).stat().st_mode & 0o777 == 0o700


def test_a_planted_link_leads_nowhere(hydra, user):
    """To the engine's socket, to the server's and to another's: nginx could open the first two."""
    ada_socket = str(socket_folder(hydra, "ada")).split("/root/", 1)[1] + "/environment.sock"
    eve = Owner(hydra, "eve")
    lab, place = eve.lab(), eve.place
    kernel = lab.kernel()
    assert lab.request("GET", "/api").status_code == 200
    for target in (hydra.runtime / "engine/engine.sock", hydra.runtime / "gateway/gateway.sock", "/" + ada_socket):
        kernel.execute("import os; os.path.lexists(s := '/run/open-hydra/environment.sock') and os.unlink(s)")
        kernel.execute(f"os.symlink({str(target)!r}, '/run/open-hydra/environment.sock')")
        assert (place / "environment.sock").is_symlink() and os.readlink(place / "environment.sock") == str(target)
        # Without the guard it would be somebody's answer: that the target is there is seen by going there straight.
        assert hydra.inside(target).is_socket()
        answer = lab.request("GET", "/_ping")
        assert answer.status_code == 502, answer.text
        with socket.socket(socket.AF_UNIX) as s, pytest.raises(OSError, match="symbolic links"):
            s.connect(str(place / "environment.sock"))
    kernel.close()
    assert hydra.admin().delete("devices/eve").status_code == 200
    hydra.wait_gone("eve")
    assert not place.exists()


def test_root_inside_is_not_the_user_either(hydra, user):
    answer = hydra.admin().post("sandboxes", json={"metadata": {"name": "asroot"}, "spec": {
        "cpuImageName": IMAGE, "runAsUser": 0, "socket": "/run/open-hydra/environment.sock", "home": "/home/student"}})
    assert answer.status_code == 201, answer.text
    hydra.create_user("rick")
    hydra.create_device("rick", sandboxName="asroot")
    hydra.wait_phase("rick", "Running", 120)
    process = status_of(container(hydra, "rick")["State"]["Pid"])
    assert process["Uid"].split() == [str(user.SUBORDINATE)] * 4 and int(process["CapEff"], 16) == 0
    assert (hydra.data / "workspace/asroot/rick").stat().st_uid == user.SUBORDINATE
    hydra.admin().delete("devices/rick")
    hydra.wait_gone("rick")


def relay_of(first):
    """What hands the bytes on to an environment with that first process."""
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"systemd-socket-proxyd" in (p / "cmdline").read_bytes() and os.readlink(p / "ns/net") == os.readlink(f"/proc/{first}/ns/net"):
                return int(p.name)
    raise AssertionError("there is none")


def test_what_listens_on_tcp(hydra, user):
    """As any user of the image and as root, by a process that is neither the user nor what runs."""
    for name, run_as in (("tess", 1000), ("tom", 0)):
        answer = hydra.admin().post("sandboxes", json={"metadata": {"name": f"tcp-{name}"}, "spec": {
            "cpuImageName": IMAGE, "runAsUser": run_as, "ports": [{"name": "web", "port": 80}], "home": "/home/student",
            "env": [{"name": "LISTEN", "value": "0.0.0.0,80"}]}})
        assert answer.status_code == 201, answer.text
        hydra.create_user(name)
        hydra.create_device(name, sandboxName=f"tcp-{name}")
        hydra.wait_phase(name, "Running", 120)
        session, base = hydra.environment(hydra.login(name, "password"), name)
        assert session.get(base).text == "hello\n"
        first = container(hydra, name)["State"]["Pid"]
        relay = relay_of(first)
        own, ran = status_of(relay), status_of(first)
        assert own["Uid"] != ran["Uid"] and int(own["Uid"].split()[0]) >= user.SUBORDINATE and int(own["CapBnd"], 16) == 0
        assert own["NoNewPrivs"] == "1" and set(os.listdir(f"/proc/{relay}/root")) <= {"lib", "lib64", "usr"}
        hydra.admin().delete(f"devices/{name}")
        hydra.wait_gone(name)
        wait_until(lambda: not pathlib.Path(f"/proc/{relay}").exists(), what="it ends")


# ---- life -------------------------------------------------------------------------------------------------------------------


def adopted(hydra, name):
    return f"{name}: adopted" in hydra.output()


def test_a_killed_runner_leaves_it_running(ada):
    hydra, kernel, old = ada.hydra, ada.lab().kernel(), ada.hydra.child("runner")
    pid = container(hydra, "ada")["State"]["Pid"]
    os.kill(old, 9)
    wait_until(lambda: hydra.child("runner") not in (None, old), 30, what="a new runner")
    wait_until(lambda: adopted(hydra, "ada"), 30, what="adopted")
    assert kernel.execute("2+2") == "4"
    kernel.close()
    assert container(hydra, "ada")["State"]["Pid"] == pid
    assert ada.run("1+1") == "2"


def test_a_restart_adopts(ada):
    hydra = ada.hydra
    pid = container(hydra, "ada")["State"]["Pid"]
    assert hydra.stop() == 0
    assert pathlib.Path(f"/proc/{pid}").exists()
    hydra.start()
    wait_until(lambda: adopted(hydra, "ada"), 30, what="adopted")
    hydra.wait_phase("ada", "Running")
    ada.session = hydra.login("ada", "password")
    assert ada.run("1+1") == "2" and container(hydra, "ada")["State"]["Pid"] == pid


def test_log(ada):
    answer = ada.hydra.admin().get("devices/ada/log?tailLines=5")
    assert answer.status_code == 200 and answer.text


def test_delete_leaves_files_alone(ada):
    hydra = ada.hydra
    assert hydra.admin().delete("devices/ada").status_code == 200
    hydra.wait_gone("ada")
    assert list((hydra.runtime / "env").iterdir()) == []
    assert (hydra.data / "workspace/jupyter-lab/ada/mine").read_text() == "x"
    hydra.create_device("ada", sandboxName="jupyter-lab")
    hydra.wait_phase("ada", "Running", 120)
    assert ada.run("open('/home/student/mine').read()") == "'x'"


def test_down_removes(ada, user):
    hydra = ada.hydra
    pid = container(hydra, "ada")["State"]["Pid"]
    assert hydra.stop() == 0
    out = hydra.down()
    assert out.returncode == 0 and "ada of ada: removed" in out.stdout, out.stdout + out.stderr
    assert not pathlib.Path(f"/proc/{pid}").exists()
    assert list((hydra.runtime / "env").iterdir()) == []
    assert user.run("podman", "ps", "--all", "--quiet").stdout == ""
    # What is stored still says Running: the runner finds out and starts it.
    hydra.start()
    wait_until(lambda: "ada: running after" in hydra.output(), 120, what="running again")
    ada.session = hydra.login("ada", "password")
    assert ada.run("1+1") == "2"


def test_the_users_own_podman_socket_is_found(ada, user):
    """The usual place of systemd's unit: its service resolves folders in the same mount namespace."""
    hydra = ada.hydra
    assert hydra.stop() == 0
    path = user.start_service()
    try:
        hydra.start()
        wait_until(lambda: adopted(hydra, "ada"), 30, what="adopted")
        assert f"container engine: Podman on {path}" in hydra.output()
        hydra.admin().delete("devices/ada")
        hydra.wait_gone("ada")
        hydra.create_device("ada", sandboxName="jupyter-lab")
        hydra.wait_phase("ada", "Running", 120)
        ada.session = hydra.login("ada", "password")
        assert ada.run("1+1") == "2"
        hydra.admin().delete("devices/ada")
        hydra.wait_gone("ada")
        assert hydra.stop() == 0
    finally:
        user.stop_service()
    hydra.start()
