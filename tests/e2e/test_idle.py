"""What nobody uses is ended; what works is not, whether anybody watches it or not. Real Jupyter Labs, through the gateway."""
import contextlib
import datetime
import os
import signal
import threading
import time

import pytest

from support.instance import Instance, wait_until
from support.lab import Student

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

IDLE_SECONDS = 24
NAMES = ("computes", "sleeps", "nohup", "forgotten", "kept")


@pytest.fixture(scope="module")
def hydra():
    with Instance(config={"idleStop": f"{IDLE_SECONDS}s"}) as instance:
        instance.create_user("headmaster", "the-head-knows", role=1)
        yield instance


class OpenTab:
    """A tab that somebody left open: its WebSocket pings, and it asks for news as Jupyter Lab does by itself."""

    def __init__(self, lab, kernel):
        self.lab, self.kernel, self.closed = lab, kernel, threading.Event()
        self.answers = []
        self.thread = threading.Thread(target=self.stay, daemon=True)
        self.thread.start()

    def stay(self):
        with contextlib.suppress(Exception):  # it ends with the environment
            while not self.closed.wait(1):
                self.kernel.socket.ping()
                if int(time.monotonic()) % 3 == 0:
                    for path in ("kernels", "sessions", "terminals"):
                        self.answers.append(self.lab.request("GET", f"/api/{path}?{time.time()}").status_code)

    def close(self):
        self.closed.set()
        self.thread.join(60)


def condition(device, kind):
    return next((c for c in (device or {}).get("status", {}).get("conditions", []) if c["type"] == kind), {})


def in_use(hydra, name, reason):
    """It runs, and says by what it is held."""
    def check():
        device = hydra.device(name)
        assert device and device["status"]["phase"] == "Running", f"{name}: {device}\n{hydra.admin().get(f'openhydrausers/{name}').text}"
        found = condition(device, "InUse")
        return device if found.get("status") == "True" and found["reason"] == reason else None
    return wait_until(check, 90, what=f"{name} {reason}")


def ended(hydra, name, seconds=150):
    """It is gone, and its owner is told why."""
    hydra.wait_gone(name, seconds)
    return hydra.admin().get(f"openhydrausers/{name}").json()["status"]["lastEnvironment"]


def send(kernel, code):
    """Runs it, and closes the browser."""
    with contextlib.suppress(Exception):
        kernel.execute(code, timeout=2)
    kernel.close()


def test_who_works_goes_on_and_who_forgot_does_not(hydra):
    labs = {name: Student(hydra, name).lab() for name in NAMES}
    kernels = {name: labs[name].kernel() for name in ("computes", "sleeps", "forgotten", "kept")}
    assert kernels["forgotten"].execute("1+1") == "2" and kernels["kept"].execute("1+1") == "2"
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
    answer = hydra.login("kept", "password").patch("devices/kept", json={"spec": {"keepUntil": until.strftime("%Y-%m-%dT%H:%M:%SZ")}},
                                                   headers={"Content-Type": "application/merge-patch+json"})
    assert answer.status_code == 200, answer.text
    send(kernels["computes"], "while True: pass")
    send(kernels["sleeps"], "import time; time.sleep(3600)")
    terminal = labs["nohup"].terminal()
    terminal.type("nohup python3 -c 'while True: pass' >/dev/null 2>&1 & echo going-$((40+2))")
    terminal.until("going-42")
    terminal.close()
    kernels["kept"].close()
    began = time.monotonic()
    tab = OpenTab(labs["forgotten"], kernels["forgotten"])

    in_use(hydra, "computes", "ProcessorBusy")
    os.kill(hydra.child("runner"), signal.SIGKILL)  # what it knew is in the status, and what it looks at is there still
    announced = wait_until(lambda: (c := condition(hydra.device("forgotten"), "IdleSoon")).get("status") == "True" and c, 120, what="IdleSoon")
    assert "it is ended at 20" in announced["message"], announced
    why = ended(hydra, "forgotten")
    assert 200 in tab.answers  # it was open until then
    tab.close()
    assert why["reason"] == "Idle" and why["sandboxName"] == "jupyter-lab" and "kernels since 20" in why["message"], why

    wait_until(lambda: time.monotonic() - began > 2.5 * IDLE_SECONDS, 120, what="the time after which the others would be ended")
    in_use(hydra, "computes", "ProcessorBusy")
    in_use(hydra, "nohup", "ProcessorBusy")
    device = in_use(hydra, "sleeps", "KernelBusy")
    assert device["status"]["usage"]["processes"] > 1 and device["status"]["usage"]["memoryBytes"] > 10 << 20
    assert hydra.device("kept")["status"]["phase"] == "Running"

    # It was the work that held them.
    for name in ("computes", "sleeps"):
        labs[name].request("POST", f"/api/kernels/{kernels[name].identity}/interrupt", 204)
    for name in ("computes", "sleeps"):
        assert ended(hydra, name)["reason"] == "Idle"
    assert hydra.device("nohup")["status"]["phase"] == "Running" and hydra.device("kept")["status"]["phase"] == "Running"


def test_vs_code_that_nobody_opened(hydra):
    """What it does by itself is no work."""
    hydra.create_user("editor")
    hydra.create_device("editor", ideType="vscode")
    hydra.wait_phase("editor", "Running", 180)
    assert "no kernels" in ended(hydra, "editor")["message"]


def test_started_again_it_is_forgiven(hydra):
    hydra.create_device("forgotten", sandboxName="jupyter-lab", idleStop="never")
    hydra.wait_phase("forgotten", "Running", 120)
    assert "lastEnvironment" not in hydra.admin().get("openhydrausers/forgotten").json().get("status", {})
