"""The whole path of a GPU without one: the fake NVML, nodes made by mknod, the real server, Podman."""
import pathlib
import socket

import pytest

from runner.stack import BUILD, Stack
from support.gpu import BYTES, DRIVER, Machine
from support.instance import wait_until
from support.unix import ask

pytestmark = pytest.mark.root
NODES = {"nvidiactl", "nvidia-uvm"}


@pytest.fixture
def machine(monkeypatch):
    with Machine(BUILD) as machine:
        for name, value in machine.variables.items():
            monkeypatch.setenv(name, value)
        yield machine


@pytest.fixture
def stack(engine, machine):
    with Stack(engine, config=machine.config + "studentGpuLimit: 8\n") as stack:
        wait_until(lambda: host(stack).get("gpus"), 30, what="the host's GPUs")
        yield stack


def host(stack):
    items = stack.api("GET", "hosts")[1]["items"]
    return items[0].get("status", {}) if items else {}


def gpus(stack, name):
    return sorted(one["id"] for one in stack.status(name).get("gpus", []))


def nodes(stack, name):
    return {one for one in stack.inside(name, "/list?/dev")[1].split() if one.startswith("nvidia")}


def text(answer):
    assert answer[0] == 200, answer
    return answer[1]


def label(stack, name):
    return stack.inspect(stack.uid(name))["Config"]["Labels"].get("io.openhydra.gpus")


def test_the_host_says_what_there_is(stack):
    items = stack.api("GET", "hosts")[1]["items"]
    assert len(items) == 1 and items[0]["metadata"]["name"] == socket.gethostname().split(".")[0].lower()
    status = items[0]["status"]
    assert status["cpu"] > 0 and status["memory"].endswith("i") and status["engine"].startswith("podman ") and status["disk"]
    assert [one["id"] for one in status["gpus"]] == ["GPU-a", "GPU-b"]
    one = status["gpus"][0]
    assert one["resource"] == "nvidia.com/gpu" and one["model"] == "NVIDIA H100 80GB HBM3" and one["driver"] == DRIVER
    assert one["memoryBytes"] == BYTES and one["healthy"] is True and one["units"] == 1
    version = items[0]["metadata"]["resourceVersion"]
    assert stack.api("DELETE", f"hosts/{items[0]['metadata']['name']}")[0] == 200
    wait_until(lambda: host(stack).get("gpus"), 60, what="made again")
    assert stack.api("GET", "hosts")[1]["items"][0]["metadata"]["resourceVersion"] != version


def test_an_environment_sees_its_own_nodes_and_no_others(stack):
    stack.create("ada", deviceGpu=1)
    stack.create("bob", deviceGpu=1)
    stack.create("cleo")
    for name in ("ada", "bob", "cleo"):
        stack.wait(name, "Running")
    assert gpus(stack, "ada") + gpus(stack, "bob") == ["GPU-a", "GPU-b"] and gpus(stack, "cleo") == []
    assert nodes(stack, "ada") == NODES | {"nvidia120"} and nodes(stack, "bob") == NODES | {"nvidia121"} and nodes(stack, "cleo") == set()
    assert stack.inside("ada", "/open?/dev/nvidia120")[0] == 200
    assert sorted(text(stack.inside("ada", "/list?/opt/nvidia")).split()) == [
        "libcuda.so.1", f"libcuda.so.{DRIVER}", "libnvidia-ml.so.1", f"libnvidia-ml.so.{DRIVER}"]
    assert stack.inside("ada", "/write?/opt/nvidia/libcuda.so.1")[0] == 500
    variables = text(stack.inside("ada", "/variables")).splitlines()
    assert "LD_LIBRARY_PATH=/opt/nvidia" in variables and "NVIDIA_VISIBLE_DEVICES=void" in variables
    assert "NVIDIA_VISIBLE_DEVICES=void" in text(stack.inside("cleo", "/variables")).splitlines()
    assert label(stack, "ada") == "GPU-a" and label(stack, "cleo") is None
    assert stack.condition("ada", "GPUHealthy")["status"] == "True" and stack.condition("cleo", "GPUHealthy") is None


def test_several_on_one_environment_and_back(stack):
    stack.create("ada", deviceGpu=2)
    stack.wait("ada", "Running")
    assert nodes(stack, "ada") == NODES | {"nvidia120", "nvidia121"}
    stack.create("bob", deviceGpu=1)
    wait_until(lambda: stack.status("bob").get("reason") == "WaitingForGPU", what="bob waits")
    assert stack.inspect(stack.uid("bob")) is None
    stack.delete("ada")
    stack.wait_gone("ada")
    stack.wait("bob", "Running")
    assert len(nodes(stack, "bob")) == 3


def test_a_killed_runner_knows_who_has_which(stack, machine):
    stack.create("ada", deviceGpu=1)
    stack.wait("ada", "Running")
    before = stack.inspect(stack.uid("ada"))["Id"]
    stack.kill("runner")
    stack.create("bob", deviceGpu=1)
    stack.start("runner")
    stack.wait("bob", "Running")
    assert stack.inspect(stack.uid("ada"))["Id"] == before
    assert nodes(stack, "ada") == NODES | {"nvidia120"} and nodes(stack, "bob") == NODES | {"nvidia121"}
    wait_until(lambda: (stack.condition("ada", "GPUHealthy") or {}).get("status") == "True", what="adopted with its GPU")


def test_one_that_vanishes_is_taken_out_and_said(stack, machine):
    stack.create("ada", deviceGpu=1)
    stack.wait("ada", "Running")
    mine = gpus(stack, "ada")[0]
    machine.says(f"lost {mine}")
    wait_until(lambda: stack.condition("ada", "GPUHealthy")["reason"] == "GPULost", 30, what="said on the device")
    assert stack.status("ada")["phase"] == "Running"
    one = wait_until(lambda: next((g for g in host(stack)["gpus"] if g["id"] == mine and g["healthy"] is False), None), what="said in the Host")
    assert one["reason"] == "GPULost" and one["message"]
    stack.create("bob", deviceGpu=1)
    stack.wait("bob", "Running")
    assert gpus(stack, "bob") != [mine]
    machine.says()
    wait_until(lambda: stack.condition("ada", "GPUHealthy")["status"] == "True", 90, what="well again")


def test_an_error_that_needs_a_reset_is_said(stack, machine):
    stack.create("ada", deviceGpu=1)
    stack.wait("ada", "Running")
    machine.says("xid GPU-a 31")
    machine.says("xid GPU-a 31", "xid GPU-a 48")
    wait_until(lambda: stack.condition("ada", "GPUHealthy")["reason"] == "GPUNeedsReset", 30, what="said on the device")
    assert "Xid 48" in stack.condition("ada", "GPUHealthy")["message"]


def test_who_uses_how_much(stack, machine):
    stack.create("ada", deviceGpu=1)
    stack.wait("ada", "Running")
    pid = stack.inspect(stack.uid("ada"))["State"]["Pid"]
    machine.says(f"process GPU-a {pid} {811597824}", "busy GPU-a 60")
    wait_until(lambda: stack.status("ada")["gpus"][0].get("memoryUsedBytes"), 60, what="its use")
    one = stack.status("ada")["gpus"][0]
    assert one["memoryUsedBytes"] == 811597824 // (64 << 20) * (64 << 20) and one["processes"] == 1 and one["id"] == "GPU-a"
    assert stack.condition("ada", "GPUMemoryWithinShare")["status"] == "True"


def test_two_share_one(engine, machine, tmp_path):
    """A unit is half of it; nothing keeps one of them to its half, so that it is said."""
    (tmp_path / "slicing.yaml").write_text("version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - name: nvidia.com/gpu\n      replicas: 2\n")
    machine.gpus = ["GPU-a"]
    machine.says()
    with Stack(engine, config=machine.config + f"gpuTimeSlicing: {tmp_path}/slicing.yaml\n") as stack:
        assert wait_until(lambda: host(stack).get("gpus"), 30, what="the host's GPUs")[0]["units"] == 2
        for name in ("ada", "bob"):
            stack.create(name, deviceGpu=1)
            stack.wait(name, "Running")
            assert gpus(stack, name) == ["GPU-a"] and nodes(stack, name) == NODES | {"nvidia120"}
        pids = {name: stack.inspect(stack.uid(name))["State"]["Pid"] for name in ("ada", "bob")}
        machine.says(f"process GPU-a {pids['ada']} {BYTES * 6 // 10}", f"process GPU-a {pids['bob']} {BYTES // 4}")
        said = wait_until(lambda: (c := stack.condition("ada", "GPUMemoryWithinShare"))["status"] == "False" and c, 60, what="said")
        assert said["reason"] == "GPUMemoryOverShare" and "48" in said["message"] and stack.status("ada")["phase"] == "Running"
        wait_until(lambda: stack.status("bob")["gpus"][0].get("memoryUsedBytes"), 60, what="bob's use")
        assert stack.condition("bob", "GPUMemoryWithinShare")["status"] == "True"


def other_group(stack, method, path, body, kind="application/json"):
    return ask(stack.runtime / "gateway.sock", method, path, body, kind, headers={"Host": "127.0.0.1:30001"})


def test_shared_from_the_moment_that_kubectl_says_so(stack):
    """The same as a ConfigMap, without a restart: who waited starts."""
    for name in ("ada", "bob", "cleo"):
        stack.create(name, deviceGpu=1)
    for name in ("ada", "bob"):
        stack.wait(name, "Running")
    wait_until(lambda: stack.status("cleo").get("reason") == "WaitingForGPU", what="cleo waits")
    text = "version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - name: nvidia.com/gpu\n      replicas: 2\n"
    assert other_group(stack, "POST", "/api/v1/namespaces/gpu-operator/configmaps", {"metadata": {"name": "shares"}, "data": {"any": text}})[0] == 201
    config = {"spec": {"devicePlugin": {"config": {"name": "shares", "default": "any"}}}}
    assert other_group(stack, "PATCH", "/apis/nvidia.com/v1/clusterpolicies/cluster-policy", config, "application/merge-patch+json")[0] == 200
    wait_until(lambda: [one["units"] for one in host(stack)["gpus"]] == [2, 2], 30, what="two units each")
    stack.wait("cleo", "Running")
    # A runner that begins anew knows it at once.
    stack.kill("runner")
    stack.start("runner")
    stack.create("dora", deviceGpu=1)
    stack.wait("dora", "Running")
    assert sorted(one for name in ("ada", "bob", "cleo", "dora") for one in gpus(stack, name)) == ["GPU-a", "GPU-a", "GPU-b", "GPU-b"]


def test_what_an_administrator_says_of_a_gpu_wins(stack, machine):
    """A CDI file of theirs may say more than ours."""
    folder = pathlib.Path("/etc/cdi")
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    file = folder / "open-hydra-test.yaml"
    file.write_text(f"cdiVersion: 0.5.0\nkind: test.open-hydra/gpu\ndevices:\n- name: GPU-a\n  containerEdits:\n"
                    f"    env: [FROM=administrator]\n    deviceNodes:\n    - path: /dev/nvidia121\n")
    try:
        stack.create("ada", deviceGpu=1)
        stack.wait("ada", "Running")
        assert nodes(stack, "ada") == {"nvidia121"}
        variables = text(stack.inside("ada", "/variables")).splitlines()
        assert "FROM=administrator" in variables and not any(v.startswith("LD_LIBRARY_PATH=") for v in variables)
    finally:
        file.unlink()
        if made:
            folder.rmdir()


def test_without_a_node_it_says_which(stack, machine):
    if pathlib.Path("/dev/nvidia-uvm") not in machine.made:
        pytest.skip("a real one is there")
    pathlib.Path("/dev/nvidia-uvm").unlink()
    stack.create("ada", deviceGpu=1)
    status = stack.wait("ada", "Failed", reason="GPURefused")
    assert "nvidia-uvm" in status["message"]


def test_ours_goes_with_the_installation(engine, machine):
    folder = pathlib.Path("/var/run/cdi")
    before = set(folder.iterdir()) if folder.exists() else set()
    with Stack(engine, config=machine.config) as stack:
        wait_until(lambda: host(stack).get("gpus"), 30, what="the host's GPUs")
        assert len(set(folder.iterdir()) - before) == 1
    assert set(folder.iterdir()) == before


def test_two_containers_never_hold_what_is_one_unit(stack, engine):
    """Whatever the server says: it may have gone back to an older store. The labels of what is there are the truth."""
    status, answer = ask(engine, "POST", "/v1.41/containers/create?name=open-hydra-older", {
        "Image": "localhost/open-hydra/test-environment:latest", "Cmd": ["/environment"], "Env": ["BEHAVIOUR=silent"],
        "Labels": {"io.openhydra.gpus": "GPU-a,GPU-b", "io.openhydra.installation": installation(stack), "io.openhydra.device": "older",
                   "io.openhydra.instance": "older", "io.openhydra.device-uid": "older", "io.openhydra.revision": "999999"}})
    assert status == 201, answer
    try:
        assert ask(engine, "POST", "/v1.41/containers/open-hydra-older/start")[0] == 204
        stack.create("ada", deviceGpu=1)
        wait_until(lambda: stack.status("ada").get("reason") == "GPUHeld", what="said")
        assert "older" in stack.status("ada")["message"]
    finally:
        ask(engine, "DELETE", "/v1.41/containers/open-hydra-older?force=true")
    stack.wait("ada", "Running")


def installation(stack):
    stack.create("probe")
    stack.wait("probe", "Running")
    return stack.inspect(stack.uid("probe"))["Config"]["Labels"]["io.openhydra.installation"]


def test_a_gpu_that_works_holds_its_environment(engine, machine):
    """Nobody is there, and no processor is used: it waits for its GPU. One that has another, which does nothing, gives it back."""
    with Stack(engine, config=machine.config + "idleStop: 16s\n") as stack:
        wait_until(lambda: host(stack).get("gpus"), 30, what="the host's GPUs")
        for name in ("ada", "bob"):
            stack.create(name, deviceGpu=1)
            stack.wait(name, "Running")
        machine.says(f"busy {gpus(stack, 'ada')[0]} 60")
        stack.wait_gone("bob", 120)
        assert wait_until(lambda: (c := stack.condition("ada", "InUse"))["status"] == "True" and c, 60, what="said")["reason"] == "GPUBusy"
        stack.create("bob", deviceGpu=1, idleStop="never")
        stack.wait("bob", "Running")
        machine.says()
        stack.wait_gone("ada", 240)
        assert stack.status("bob")["phase"] == "Running"
        status, user = stack.api("GET", "openhydrausers/ada")
        assert user["status"]["lastEnvironment"]["reason"] == "Idle" and "GPU since 20" in user["status"]["lastEnvironment"]["message"]
