"""GPUs: what a Host reports is given to devices in order, and once. The Host is written here as the runner of a machine with GPUs does it."""
import json
import os
import signal

import pytest

from support.answers import is_status
from support.instance import wait_until

MERGE = {"Content-Type": "application/merge-patch+json"}


def gpu(number, units=1, **more):
    return {"id": f"GPU-{number}", "resource": "nvidia.com/gpu", "model": "NVIDIA H100 80GB HBM3", "driver": "580.159.04",
            "memoryBytes": 85520809984, "units": units, "healthy": True, **more}


def report(admin, *gpus, name="gpu-host"):
    """Made, or written anew."""
    if admin.get(f"hosts/{name}").status_code == 404:
        assert admin.post("hosts", json={"metadata": {"name": name}, "spec": {}}).status_code == 201
    answer = admin.patch(f"hosts/{name}/status", headers=MERGE, data=json.dumps(
        {"status": {"cpu": 16, "memory": "128Gi", "engine": "podman 5.4.2", "gpus": list(gpus)}}))
    assert answer.status_code == 200, answer.text
    return answer.json()["status"]


def has_gpus(hydra, device):
    status = hydra.device(device)["status"]
    return None if "queue" in status else [g["id"] for g in status.get("gpus", [])]


def let_runner_tidy(hydra):
    """A runner removes the hosts of other names when it starts. One that starts after such a host was made, and has removed it, leaves ours alone."""
    runner = wait_until(lambda: hydra.child("runner"), what="the runner")
    os.kill(runner, signal.SIGSTOP)
    assert hydra.admin().post("hosts", json={"metadata": {"name": "before"}, "spec": {}}).status_code == 201
    os.kill(runner, signal.SIGKILL)
    wait_until(lambda: hydra.admin().get("hosts/before").status_code == 404, 60, what="the runner's look at hosts")


@pytest.fixture
def school(fresh):
    """Three users; an image that is nowhere, so that nothing starts."""
    let_runner_tidy(fresh)
    assert fresh.admin().post("sandboxes", json={"metadata": {"name": "none"}, "spec": {
        "cpuImageName": "localhost/open-hydra/nowhere:none", "socket": "/run/s"}}).status_code == 201
    for name in ("a", "b", "c"):
        fresh.create_user(name)
    return fresh


def test_as_the_original_says_it(school):
    """Without a GPU the environment is Pending; it starts by itself once there is one."""
    manifest = ("apiVersion: open-hydra-server.openhydra.io/v1\nkind: Device\nmetadata:\n  name: a\n"
                "spec:\n  openHydraUsername: a\n  deviceGpu: 1\n  sandboxName: none\n")
    school.kubectl("create", "-f", "-", input=manifest)
    columns = "custom-columns=User:.spec.openHydraUsername,Status:.spec.deviceStatus,GPU:.spec.deviceGpu"
    assert school.kubectl("get", "devices", "a", "-o", columns).stdout.split()[-3:] == ["a", "Pending", "1"]
    status = school.device("a")["status"]
    assert status["reason"] == "WaitingForGPU" and "there is no GPU here" in status["message"]
    assert status["queue"].items() >= {"position": 1, "waitingFor": "nvidia.com/gpu", "wanted": 1, "total": 0, "holders": 0}.items()
    report(school.admin(), gpu(1))
    assert has_gpus(school, "a") == ["GPU-1"] and school.device("a")["spec"]["deviceType"] == "gpu"
    wait_until(lambda: school.device("a")["status"]["reason"] not in ("WaitingForGPU", "Queued", "RunnerAbsent"), 60, what="taken up")


def test_hosts_by_kubectl(school):
    report(school.admin(), gpu(1, units=4), gpu(2, units=4, healthy=False, reason="XidError", message="Xid 79"))
    school.create_device("a", sandboxName="none", deviceGpu=2)
    lines = school.kubectl("get", "hosts", "gpu-host").stdout.splitlines()
    assert lines[0].split() == ["NAME", "GPUS", "UNITS", "GIVEN", "FREE", "CPU", "MEMORY", "ENGINE", "AGE"]
    assert lines[1].split()[:7] == ["gpu-host", "1", "4", "2", "2", "16", "128Gi"]
    described = school.kubectl("describe", "host", "gpu-host").stdout
    assert "Xid 79" in described and "GPU-2" in described


def test_the_next_one_gets_it(school):
    admin = school.admin()
    report(admin, gpu(1))
    for name in ("a", "b", "c"):
        school.create_device(name, sandboxName="none", deviceGpu=1)
    assert [has_gpus(school, n) for n in ("a", "b", "c")] == [["GPU-1"], None, None]
    assert school.device("c")["status"]["queue"]["position"] == 2
    assert "QUEUE" in school.kubectl("get", "devices", "-o", "wide").stdout
    # The last one is wanted more.
    assert admin.patch("devices/c", headers=MERGE, data='{"spec":{"priority":5}}').status_code == 200
    assert [school.device(n)["status"]["queue"]["position"] for n in ("b", "c")] == [2, 1]
    admin.delete("devices/a")
    wait_until(lambda: has_gpus(school, "c") == ["GPU-1"], 60, what="given")
    assert school.device("b")["status"]["queue"]["position"] == 1
    assert admin.get("hosts/gpu-host").json()["status"]["gpus"][0]["devices"] == ["c"]


def test_given_once_across_a_killed_server(school):
    admin = school.admin()
    report(admin, gpu(1), gpu(2))
    for name in ("a", "b", "c"):
        school.create_device(name, sandboxName="none", deviceGpu=1)
    before = {n: has_gpus(school, n) for n in ("a", "b", "c")}
    assert before == {"a": ["GPU-1"], "b": ["GPU-2"], "c": None}
    os.kill(school.child("server"), signal.SIGKILL)
    wait_until(lambda: admin.get("hosts").status_code == 200, 60, what="the server again")
    assert {n: has_gpus(school, n) for n in ("a", "b", "c")} == before
    admin.delete("devices/b")
    wait_until(lambda: has_gpus(school, "c") == ["GPU-2"], 60, what="given")
    assert admin.get("hosts/gpu-host").json()["status"]["gpuUnits"] == {"total": 2, "given": 2, "free": 0}


def test_students(school):
    """They ask within studentGpuLimit, 0 by default, say no priority, and see no hosts, as these name others."""
    report(school.admin(), gpu(1))
    student = school.login("a", "password")
    for spec, field in (({"deviceGpu": 1}, "spec.deviceGpu"), ({"priority": 1}, "spec.priority")):
        answer = student.post("devices", json={"metadata": {"name": "a"}, "spec": {"openHydraUsername": "a", "sandboxName": "none", **spec}})
        is_status(answer, 403, "Forbidden", field)
    for path in ("hosts", "hosts/gpu-host"):
        is_status(student.get(path), 403, "Forbidden")


def test_kinds_of_gpu(school):
    admin = school.admin()
    spec = {"openHydraUsername": "a", "sandboxName": "none", "deviceGpu": 1, "gpuDriver": "example.org/gpu"}
    is_status(admin.post("devices", json={"metadata": {"name": "a"}, "spec": spec}), 422, "Invalid", "not allowed", field="spec.gpuDriver")
