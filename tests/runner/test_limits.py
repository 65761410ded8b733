"""What an environment may use of memory and processes, what it says when that was too little, and what all are told."""
import time

import pytest

from runner.stack import Stack
from support.instance import wait_until

pytestmark = pytest.mark.root

MIB = 1 << 20


def room(stack, path):
    return int(stack.inside("ada", f"/room?{path}")[1])


def variables(stack, name="ada"):
    return dict(line.split("=", 1) for line in stack.inside(name, "/variables")[1].splitlines())


def holds(stack, kind, reason):
    def check():
        found = stack.condition("ada", kind)
        return found if found and found["status"] == "True" and found["reason"] == reason else None
    return wait_until(check, 30, what=f"{kind}: {reason}")


# ---- sizes --------------------------------------------------------------------------------------------------------


def test_files_in_memory_are_as_large_as_said(stack):
    """By the sandbox, by a volume, and never more than the memory."""
    stack.sandbox("sized", shmSize="48Mi", tmpSize="10%", processes=100)
    stack.sandbox("large", shmSize="1Ti", volumes=[{"name": "a", "emptyDir": {"sizeLimit": "20Mi"}}],
                  volumeMounts=[{"name": "a", "mountPath": "/tmp"}])
    for sandbox, shm, tmp, pids in (("plain", 64, 64, 256), ("sized", 48, 12.8, 100), ("large", 128, 20, 256)):
        stack.create("ada", sandbox, deviceRam="128")
        resources = stack.wait("ada", "Running")["resources"]
        assert resources["memory"] == "128Mi" and resources["pids"] == pids, resources
        for key, path, size in (("shm", "/dev/shm", shm), ("tmp", "/tmp", tmp)):
            said = resources[key]
            assert int(said[:-2]) * (1024 if said.endswith("Ki") else MIB) == int(size * MIB) // 1024 * 1024, resources
            assert abs(room(stack, path) - size * MIB) <= 4096, (sandbox, path)
        stack.delete("ada")
        stack.wait_gone("ada")


def test_the_configuration_bounds_processes(engine):
    with Stack(engine, config="shmPerDevice: 16Mi\ntmpPerDevice: 100%\npidsPerDevice: 300\nmaxPidsPerDevice: 400\n") as stack:
        stack.create("ada", deviceRam="128")
        assert stack.wait("ada", "Running")["resources"] == {"cpu": "2000m", "memory": "128Mi", "shm": "16Mi", "tmp": "128Mi", "pids": 300}
        stack.sandbox("greedy", processes=401)
        stack.create("bob", "greedy", deviceRam="128")
        assert "maxPidsPerDevice" in stack.wait("bob", "Failed", reason="LimitsRefused")["message"]


# ---- what it lacked -----------------------------------------------------------------------------------------------


def test_memory_that_ran_out_is_said(stack):
    """A process inside is ended, as a kernel of Jupyter's would be; then the first process, and with it all."""
    stack.create("ada", deviceRam="64")
    stack.wait("ada", "Running")
    assert stack.condition("ada", "OutOfMemory") is None
    assert stack.inside("ada", "/hog")[0] == 200
    said = holds(stack, "OutOfMemory", "KilledForMemory")
    assert "all 64 MiB" in said["message"] and "/dev/shm" in said["message"], said
    status = stack.status("ada")
    assert status["phase"] == "Running" and "restarts" not in status
    assert stack.condition("ada", "Ready")["status"] == "True"

    # It is known to the next runner, and not told anew by it.
    stack.kill("runner")
    stack.start("runner")
    wait_until(lambda: "adopted" in stack.log("runner"), 30, what="adopted")
    time.sleep(4)  # longer than between two looks
    again = stack.condition("ada", "OutOfMemory")
    assert again["status"] == "True" and again["lastTransitionTime"] == said["lastTransitionTime"], (said, again)


def test_the_end_of_all_for_memory_is_still_said_after_the_restart(stack):
    stack.create("ada", deviceRam="64")
    stack.wait("ada", "Running")
    try:
        stack.inside("ada", "/oom")
    except OSError:
        pass
    stack.wait("ada", "Running", restarts=1)
    holds(stack, "OutOfMemory", "KilledForMemory")


def test_what_it_lacked_passes(stack):
    stack.stop("runner")
    stack.start("runner", {"SHORTAGE_SECONDS": "2", "CHECK_SECONDS": "1"})
    stack.create("ada", deviceRam="64")
    stack.wait("ada", "Running")
    stack.inside("ada", "/hog")
    said = wait_until(lambda: (c := stack.condition("ada", "OutOfMemory")) and c["status"] == "False" and c, 30, what="passed")
    assert said["reason"] == "NotLately" and "it was so at" in said["message"], said


def test_processes_that_ran_out_are_said(stack):
    stack.sandbox("few", processes=64)
    stack.create("ada", "few", deviceRam="128")
    stack.wait("ada", "Running")
    n, why = stack.inside("ada", "/fork?1000")[1].split(" ", 1)
    assert 32 < int(n) < 64 and "temporarily unavailable" in why
    assert "(64)" in holds(stack, "OutOfProcesses", "ProcessesRefused")["message"]
    assert stack.status("ada")["phase"] == "Running"


def test_full_memory_is_said_until_there_is_room(stack):
    stack.sandbox("small", tmpSize="2Mi", shmSize="1Mi")
    stack.create("ada", "small", deviceRam="128")
    stack.wait("ada", "Running")
    for path in ("/tmp", "/dev/shm"):
        assert "No space left" in stack.inside("ada", f"/fill?{path}/large")[1]
        assert f"{path} is full" in holds(stack, "OutOfSpace", "NoSpaceLeft")["message"]
        assert stack.inside("ada", f"/remove?{path}/large")[1] == "removed"
        wait_until(lambda: stack.condition("ada", "OutOfSpace")["status"] == "False", 30, what="room again")


# ---- where in the world it is -------------------------------------------------------------------------------------


def test_what_environments_are_told(engine, request, tmp_path):
    """Time zone, language and packages by the configuration; the owner's language before it, and a sandbox before both."""
    wheels = tmp_path / "wheels"
    wheels.mkdir(mode=0o755)
    (wheels / "a.whl").write_text("a wheel")
    config = f"timeZone: Asia/Shanghai\nlanguage: zh_CN.UTF-8\npipFindLinks: {wheels}\n"
    with Stack(engine, config=config, docker="docker" in request.node.module.__name__) as stack:
        stack.sandbox("own", env=[{"name": "TZ", "value": "Europe/Berlin"}, {"name": "LANG", "value": "C"}])
        stack.create("ada")
        stack.create("bob", language="en")
        stack.create("eve", "own")
        for name in ("ada", "bob", "eve"):
            stack.wait(name, "Running")
        of = {name: variables(stack, name) for name in ("ada", "bob", "eve")}
        assert [of[name]["TZ"] for name in of] == ["Asia/Shanghai", "Asia/Shanghai", "Europe/Berlin"]
        assert [of[name]["LANG"] for name in of] == ["zh_CN.UTF-8", "C.UTF-8", "C"]
        assert [of[name]["OPENHYDRA_LANGUAGE"] for name in of] == ["zh-CN", "en", "zh-CN"]
        links = of["ada"]["PIP_FIND_LINKS"]
        assert of["ada"]["PIP_NO_INDEX"] == "1" and "PIP_INDEX_URL" not in of["ada"]
        assert stack.inside("ada", f"/read?{links}/a.whl")[1] == "a wheel"
        assert stack.inside("ada", f"/write?{links}/b.whl")[0] == 500


def test_a_package_index_of_the_school(engine):
    with Stack(engine, config="pipIndex: http://pypi.school.example:8080/simple\n") as stack:
        stack.create("ada")
        stack.wait("ada", "Running")
        found = variables(stack)
        assert found["PIP_INDEX_URL"] == "http://pypi.school.example:8080/simple"
        assert found["PIP_TRUSTED_HOST"] == "pypi.school.example:8080" and "PIP_NO_INDEX" not in found


# ---- what a home begins with --------------------------------------------------------------------------------------


def test_a_new_home_begins_with_the_skeleton(engine, tmp_path):
    skeleton = tmp_path / "skeleton"
    (skeleton / "first steps").mkdir(parents=True)
    (skeleton / "first steps/hello.txt").write_text("你好")
    (skeleton / ".bashrc").write_text("alias ll='ls -l'\n")
    (skeleton / "link").symlink_to("/etc/shadow")
    with Stack(engine, config=f"homeSkeleton: {skeleton}\n") as stack:
        stack.create("ada")
        first = stack.wait("ada", "Running")["hostId"] + 1000
        home = stack.data / "workspace/plain/ada"
        assert (home / "first steps/hello.txt").read_text() == "你好" and (home / ".bashrc").exists()
        assert {(p.stat().st_uid, p.stat().st_gid) for p in (home, home / ".bashrc", home / "first steps", home / "first steps/hello.txt")} == {(first, first)}
        assert not (home / "link").is_symlink() and not (home / "link").exists()
        assert "link" in stack.log("runner")
        assert stack.inside("ada", "/read?/home/student/.bashrc")[1].startswith("alias")
        (home / ".bashrc").unlink()
        stack.delete("ada")
        stack.wait_gone("ada")
        # Not into one that there is.
        (skeleton / "later").write_text("later")
        stack.create("ada")
        stack.wait("ada", "Running")
        assert not (home / ".bashrc").exists() and not (home / "later").exists()
        assert sorted(p.name for p in home.parent.iterdir()) == [".open-hydra", "ada"]
