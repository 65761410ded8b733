"""kill -9 of anything, in any order, while clients write and environments run: nothing acknowledged is lost, nothing stays behind."""
import contextlib
import os
import signal
import subprocess
import time

import pytest
from school import TIMES, School, Writers
from support.instance import wait_until
from support.processes import children, name_of

pytestmark = pytest.mark.root

ROUNDS = 12


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def kill(*pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def victims(school):
    """What there is to kill, by name; `run` itself, and the whole in any order, are started again by hand."""
    run, nginx, runner = school.process.pid, school.child("nginx"), school.child("runner")
    found = {"server": [school.child("server")], "runner": [runner], "nginx": [nginx], "run": [run]}
    found["workers"] = children(nginx) if nginx else []
    found["engine"] = [p for p in children(runner) if "podman" in name_of(p)] if runner else []
    found["whole"] = school.chance.sample(tree := [run, *descendants(run)], len(tree))
    return {name: [p for p in pids if p] for name, pids in found.items() if any(pids)}


def strike(school):
    there = victims(school)
    for name in school.chance.sample(sorted(there), min(len(there), school.chance.choice([1, 1, 2]))):
        kill(*there[name])
        if name in ("run", "whole"):
            school.process.wait()
            school.start()
            return


def test_anything_at_any_moment():
    school = School().open()
    try:
        for name in ("anna", "ben"):
            school.student(name)
        before = {name: school.pid(name) for name in ("anna", "ben")}
        with Writers(school) as writers:
            for _ in range(ROUNDS * TIMES):
                time.sleep(school.chance.uniform(0.05, 0.8))
                strike(school)
                writers.good()
            writers.go_on()
        print(f"{writers.done()} writes acknowledged")
        for name in ("anna", "ben"):
            school.wait_phase(name, "Running", 60)
            wait_until(lambda: school.answers(name), 30, what=f"{name}'s environment answers")
            assert school.pid(name) == before[name], "it was started anew"
            school.admin().delete(f"devices/{name}")
        for name in ("anna", "ben"):
            school.wait_gone(name)
        assert school.leftovers()[1] == []
    finally:
        school.stop()
        school.down()
    wait_until(lambda: school.leftovers() == ([], [], []), 30, what="nothing is left")
    school.remove()


def test_starts_that_are_killed():
    """Within a first start, and within later ones: the next start is good, and the engine's service of none stays."""
    school = School()
    try:
        for _ in range(ROUNDS // 2 * TIMES):
            process = subprocess.Popen(school.command("run"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=school.env,
                                       start_new_session=True)
            time.sleep(school.chance.uniform(0, 0.5))
            tree = [process.pid, *descendants(process.pid)]
            kill(*school.chance.sample(tree, len(tree)))
            process.wait()
        school.open()
        school.student("anna")
        school.admin().delete("devices/anna")
        school.wait_gone("anna")
    finally:
        school.stop()
        school.down()
    wait_until(lambda: school.leftovers()[2] == [], 60, what="no process of any start is left")
    school.remove()


def test_supervisor_and_master_together():
    """The workers of an nginx that nobody supervises any more hold no port."""
    with School() as school:
        for _ in range(2 * TIMES):
            master = school.child("nginx")
            os.kill(school.process.pid, signal.SIGSTOP)
            kill(master)
            school.kill()
            school.start()
            assert school.ready()
