"""Processes that hang or vanish without a word, the engine's too."""
import contextlib
import os
import signal
import subprocess
import time

import pytest
from school import TIMES, School, Writers, container
from support.instance import wait_until
from support.processes import children

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def school():
    with School() as s:
        yield s


def conmon(school, name):
    identity = container(school, name)["Id"]
    return int(subprocess.run(["pgrep", "-f", f"conmon.*{identity}"], capture_output=True, text=True, check=True).stdout.split()[0])


def pids(school, name):
    return {"process": school.pid(name), "conmon": conmon(school, name)}


def condition(school, name, kind):
    conditions = school.device(name)["status"].get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {"status": None})


@pytest.mark.parametrize("what", [["process"], ["conmon", "process"], ["process", "conmon"]])
def test_an_environment_that_is_dead_is_started_anew(school, what):
    name = "dead-" + "-".join(what)
    school.student(name)
    before = pids(school, name)
    for one in what:
        os.kill(before[one], signal.SIGKILL)
    wait_until(lambda: restarted(school, name, before), 90, 0.2, what="another process")
    school.wait_phase(name, "Running", 90)
    wait_until(lambda: school.answers(name), 60, what="it answers")
    assert school.device(name)["status"]["restarts"] == 1


def restarted(school, name, before):
    with contextlib.suppress(AssertionError, KeyError, subprocess.CalledProcessError, IndexError):
        return school.pid(name) not in (0, before["process"])
    return False


def test_an_environment_without_its_watcher_goes_on(school):
    school.student("alone")
    before = pids(school, "alone")
    os.kill(before["conmon"], signal.SIGKILL)
    os.kill(runner := school.child("runner"), signal.SIGKILL)
    wait_until(lambda: school.child("runner") not in (None, runner), 30, what="another runner")
    school.wait_phase("alone", "Running")
    wait_until(lambda: school.answers("alone"), 30, what="it answers")
    assert school.pid("alone") == before["process"] and os.path.exists(f"/proc/{before['process']}")


def test_an_environment_that_hangs_is_said_to_and_heals(school):
    school.student("hangs")
    pid = school.pid("hangs")
    os.kill(pid, signal.SIGSTOP)
    try:
        told = wait_until(lambda: (c := condition(school, "hangs", "Ready"))["status"] == "False" and c, 120, 0.5, what="Ready=False")
        assert told["reason"] == "NotAnswering" and told["message"], told
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: condition(school, "hangs", "Ready")["status"] == "True", 120, 0.5, what="Ready again")
    assert school.answers("hangs") and school.pid("hangs") == pid


def stopped(school, who):
    if who != "worker":
        return school.child(who)
    return children(school.child("nginx"))[0]


@pytest.mark.parametrize("who", ["server", "runner", "nginx", "worker"])
def test_a_stopped_process_of_ours(school, who):
    """For some seconds: nobody is cut off, and none of it is taken for dead."""
    with Writers(school) as writers:
        for _ in range(TIMES):
            pid = stopped(school, who)
            os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(3)
            finally:
                os.kill(pid, signal.SIGCONT)
            writers.go_on()
            assert school.log_in("headmaster", "the-head-knows").status_code == 200
            assert stopped(school, who) == pid
    assert sum(w.lost_replies + w.undone for w in writers.writers) == 0, "somebody got no answer"
