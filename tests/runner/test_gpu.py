"""The whole path of a GPU without one: the fake NVML, nodes made by mknod, the real server, Podman."""
import pathlib
import socket

import pytest

from runner.stack import BUILD, Stack, engine_socket, load_image
from support.gpu import BYTES, DRIVER, Machine
from support.instance import wait_until

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine():
    path = engine_socket()
    load_image(path)
    return path


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


def test_ours_goes_with_the_installation(engine, machine):
    folder = pathlib.Path("/var/run/cdi")
    before = set(folder.iterdir()) if folder.exists() else set()
    with Stack(engine, config=machine.config) as stack:
        wait_until(lambda: host(stack).get("gpus"), 30, what="the host's GPUs")
        assert len(set(folder.iterdir()) - before) == 1
    assert set(folder.iterdir()) == before
