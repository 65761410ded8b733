"""The whole path on a real Docker daemon: what it lacks, user namespaces of each container, the status says; the rest holds."""
import os
import pathlib
import socket

import pytest

from inside import build_calls, check_calls, container, host_id, socket_on_host, status_of
from support.docker import ended, started
from support.instance import Instance, wait_until
from support.lab import Lab, Student

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]
# Docker's numbers of users end at 2^31 - 1.
HOST_IDS = {"hostIdBase": 1879048192 - 65536 * 8192, "hostIdRanges": 1024}


@pytest.fixture(scope="module")
def docker():
    daemon = started()
    try:
        daemon.load()
        yield daemon
    finally:
        ended(daemon)


@pytest.fixture(scope="module")
def hydra(docker):
    """Found as the environment says it: another engine's places come later."""
    found = {"CONTAINER_HOST": "", "DOCKER_HOST": f"unix://{docker.socket}"}
    with Instance(config=HOST_IDS, environments=8, env=found) as instance:
        instance.create_user("headmaster", "the-head-knows", role=1)
        yield instance


class Owner(Student):
    @property
    def pid(self):
        return container(self.hydra, self.name)["State"]["Pid"]


@pytest.fixture(scope="module")
def ada(hydra):
    return Owner(hydra, "ada")


def test_a_kernel_answers_through_the_gateway(ada, docker):
    assert f"container engine: Docker on {docker.socket}" in ada.hydra.output()
    assert ada.run("1+1") == "2"
    assert ada.run("open('/home/student/mine', 'w').write('x')") == "1"


def test_the_status_says_what_docker_lacks(ada):
    conditions = {c["type"]: c for c in ada.device["status"]["conditions"]}
    assert conditions["UserNamespace"]["status"] == "False" and "owner's host id" in conditions["UserNamespace"]["message"]
    limits = conditions["ResourceLimitsEnforced"]
    assert limits["status"] == "True" or limits["message"]


def test_hardening(ada):
    process, own = status_of(ada.pid), host_id(ada.hydra, "ada") + 1000
    assert process["Uid"].split() == process["Gid"].split() == [str(own)] * 4
    assert str(own) not in {line.split(":")[2] for line in pathlib.Path("/etc/passwd").read_text().splitlines()}
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(process[kind], 16) == 0, kind
    assert process["NoNewPrivs"] == "1" and process["Seccomp"] == "2" and process["Groups"].split() in ([], [str(own)])
    mounts = {line.split()[4]: line for line in pathlib.Path(f"/proc/{ada.pid}/mountinfo").read_text().splitlines()}
    assert mounts["/"].split()[5].startswith("ro")
    for path in ("/run/open-hydra", "/home/student", "/tmp"):
        assert "nosuid,nodev" in mounts[path], mounts[path]
    assert not [line for line in mounts if "docker.sock" in line]
    assert pathlib.Path(f"/proc/{ada.pid}/net/route").read_text().count("\n") == 1, "a network"
    settings = container(ada.hydra, "ada")["HostConfig"]
    assert settings["Memory"] > 0 and settings["PidsLimit"] > 0 and settings["CpuQuota"] > 0 and not settings["Privileged"]


def test_system_calls(hydra, ada):
    build_calls(hydra.data / "workspace/jupyter-lab/ada")
    kernel = ada.lab().kernel()
    say = "import subprocess; print(subprocess.run(['/home/student/calls', %r], capture_output=True, text=True).stdout)"
    check_calls(*(kernel.execute(say % what) for what in ("refused", "works")))
    kernel.close()


def test_users_have_ids_of_their_own(hydra, ada):
    bob = Owner(hydra, "bob")
    assert status_of(bob.pid)["Uid"] != status_of(ada.pid)["Uid"]
    for student in (ada, bob):
        home, place = hydra.data / f"workspace/jupyter-lab/{student.name}", pathlib.Path(socket_on_host(hydra, student.name)).parent
        own = host_id(hydra, student.name) + 1000
        assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (own, 0o700)
        assert (place.stat().st_uid, place.stat().st_gid, place.stat().st_mode & 0o777) == (own, int(status_of(hydra.child("nginx"))["Gid"].split()[0]), 0o710)


def test_a_planted_link_leads_nowhere(hydra, ada, docker):
    """The folder is the host's own mount, guarded whatever the engine is."""
    lab, path = Lab(*hydra.environment(hydra.login("bob", "password"), "bob")), socket_on_host(hydra, "bob")
    kernel = lab.kernel()
    for target in (docker.socket, hydra.runtime / "gateway/gateway.sock", socket_on_host(hydra, "ada")):
        kernel.execute("import os; os.path.lexists(s := '/run/open-hydra/environment.sock') and os.unlink(s)")
        kernel.execute(f"os.symlink({str(target)!r}, '/run/open-hydra/environment.sock')")
        assert os.readlink(path) == str(target)
        assert lab.request("GET", "/_ping").status_code == 502
        with socket.socket(socket.AF_UNIX) as s, pytest.raises(OSError, match="symbolic links"):
            s.connect(path)
    kernel.close()
    assert hydra.admin().delete("devices/bob").status_code == 200
    hydra.wait_gone("bob")
    assert not os.path.exists(os.path.dirname(path))


def test_root_images_are_refused(hydra):
    answer = hydra.admin().post("sandboxes", json={"metadata": {"name": "asroot"}, "spec": {
        "cpuImageName": "localhost/open-hydra/jupyter-lab:latest", "runAsUser": 0, "socket": "/run/open-hydra/environment.sock"}})
    assert answer.status_code == 201, answer.text
    hydra.create_user("rick")
    hydra.create_device("rick", sandboxName="asroot")
    status = hydra.wait_phase("rick", "Failed")["status"]
    assert status["reason"] == "RootImageRefused" and "allowRootImages" in status["message"]
    hydra.admin().delete("devices/rick")
    hydra.wait_gone("rick")


def test_log(ada):
    answer = ada.hydra.admin().get("devices/ada/log?tailLines=5")
    assert answer.status_code == 200 and answer.text


def test_a_killed_runner_leaves_it_running(hydra, ada):
    kernel, old, pid = ada.lab().kernel(), hydra.child("runner"), ada.pid
    os.kill(old, 9)
    wait_until(lambda: hydra.child("runner") not in (None, old), 30, what="a new runner")
    wait_until(lambda: "ada: adopted" in hydra.output(), 30, what="adopted")
    assert kernel.execute("2+2") == "4" and ada.pid == pid
    kernel.close()
    assert ada.run("1+1") == "2"


def test_a_restart_adopts(hydra, ada):
    pid = ada.pid
    assert hydra.stop() == 0
    hydra.start()
    wait_until(lambda: "ada: adopted" in hydra.output(), 30, what="adopted")
    hydra.wait_phase("ada", "Running")
    ada.session = hydra.login("ada", "password")
    assert ada.run("1+1") == "2" and ada.pid == pid


def test_delete_leaves_files_alone(hydra, ada):
    pid = ada.pid
    assert hydra.admin().delete("devices/ada").status_code == 200
    hydra.wait_gone("ada")
    assert not pathlib.Path(f"/proc/{pid}").exists() and list((hydra.runtime / "env").iterdir()) == []
    hydra.create_device("ada", sandboxName="jupyter-lab")
    hydra.wait_phase("ada", "Running", 120)
    assert ada.run("open('/home/student/mine').read()") == "'x'"
