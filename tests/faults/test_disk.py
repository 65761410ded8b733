"""A disk that is full, fails, may not be written, or loses its power."""
import contextlib
import os
import signal
import subprocess
import time

import pytest
from disk import Disk
from school import TIMES, School, Writers
from support.answers import is_status
from support.instance import wait_until

pytestmark = pytest.mark.root

NEARLY = 8 << 20  # of 192 MiB: more than the database wants for what is new, less than environments do


@pytest.fixture
def disk():
    d = Disk(192)
    yield d
    d.remove()


@contextlib.contextmanager
def opened(disk):
    """Ended in good order where all went well; the disk is to come free in any case."""
    school = School(disk)
    try:
        yield school.open()
        school.stop()
    finally:
        with contextlib.suppress(AssertionError):
            school.stop()
        school.down()
        school.remove()


def lose(school):
    """All of its processes at once, the engine's too."""
    school.kill()
    for pid, _ in school.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not school.processes(), 30, what="its processes end")


def test_power_cuts(disk):
    """In the midst of writes: what was acknowledged is there afterwards."""
    with opened(disk) as school, Writers(school) as writers:
        for _ in range(10 * TIMES):
            writers.go_on(20)
            time.sleep(school.chance.uniform(0, 0.3))
            school.dark = True
            disk.cut()
            lose(school)
            disk.power_on()
            school.start()
            school.dark = False
            writers.good()


def waits_for_room(school, name):
    def check():
        status = school.device(name)["status"]
        return status if status.get("reason") == "DiskFull" else None
    status = wait_until(check, 60, what="a reason for waiting")
    assert status["phase"] == "Queued" and "wanted before an environment starts" in status["message"], status


def test_full(disk):
    """Nearly full, no environment starts, the first time or again. Full, logins, deletes and stops go on, which is what frees it."""
    with opened(disk) as school:
        for name in ("anna", "ben", "carol", "dora"):
            school.create_user(name)
        for _ in range(TIMES):
            for name in ("carol", "dora"):
                school.create_device(name, sandboxName="hostile")
                school.wait_phase(name, "Running")
            disk.fill(NEARLY)
            school.create_device("ben", sandboxName="hostile")
            waits_for_room(school, "ben")
            os.kill(school.pid("dora"), signal.SIGKILL)
            waits_for_room(school, "dora")
            full(disk, school)
            disk.unfill()
            wait_until(school.ready, 20, what="it is well")
            school.create_user("anna")
            for name in ("ben", "dora"):
                school.wait_phase(name, "Running")
                assert school.answers(name)
                school.admin().delete(f"devices/{name}")
                school.wait_gone(name)


def full(disk, school):
    disk.fill()
    # More than nginx keeps in memory, were it to keep it.
    large = {"metadata": {"name": "large", "annotations": {"x": "y" * 30000}}, "spec": {"role": 2}}
    is_status(school.admin().post("openhydrausers", json=large), 507, "InsufficientStorage", "MiB free")
    for name in ("anna", "carol", "headmaster"):
        assert school.log_in(name, "the-head-knows" if name == "headmaster" else "password").status_code == 200
    assert school.answers("carol")
    wait_until(lambda: not school.ready(), 20, what="it says that it is not well")
    assert school.login("carol", "password").delete("devices/carol").status_code == 200
    school.wait_gone("carol")
    assert school.admin().delete("openhydrausers/anna").status_code == 200
    school.stop()
    school.start()
    disk.fill()
    assert school.log_in("headmaster", "the-head-knows").status_code == 200
    assert school.log_in("anna").status_code == 401


def test_failing(disk):
    """Each access to it is an error: what can be read is read, what is to be written is refused, nobody waits for ever."""
    with opened(disk) as school:
        for name in ("anna", "ben"):
            school.create_user(name)
        disk.cut()
        for _ in range(10 * TIMES):
            answer = school.admin().post("openhydrausers", json={"metadata": {"generateName": "x-"}, "spec": {"role": 2}}, timeout=15)
            assert answer.status_code in (503, 507) and answer.json()["kind"] == "Status", answer.text
            assert school.admin().delete("openhydrausers/anna", timeout=15).status_code in (503, 507)
            assert school.admin().get("openhydrausers/anna", timeout=15).status_code == 200
        wait_until(lambda: not school.ready(), 20, what="it says that it is not well")
        os.kill(school.child("server"), signal.SIGKILL)
        wait_until(lambda: school.admin().get("openhydrausers", timeout=20).status_code == 503, 30, what="503")
        for _ in range(10):
            answers_quickly(school)
            time.sleep(0.3)
        lose(school)
        disk.power_on()
        school.start()
        assert {i["metadata"]["name"] for i in school.admin().get("openhydrausers").json()["items"]} == {"anna", "ben", "headmaster"}


def answers_quickly(school):
    """Every kind of client, whether or not the server can be started again."""
    for ask in (lambda: school.admin().get("openhydrausers", timeout=10), lambda: school.log_in("anna", timeout=10),
                lambda: school.visitor().get("/readyz", timeout=10)):
        answer = ask()
        assert answer.status_code in (200, 503), answer.text
        assert answer.status_code == 200 or "[-]" in answer.text or answer.json()["kind"] == "Status", answer.text


def test_a_server_that_cannot_start(disk):
    """Its database is broken and it dies: a 503 with a reason for everybody, few lines in the log, and what runs goes on."""
    with opened(disk) as school:
        school.student("anna")
        environment = school.pid("anna")
        kept = {p: (p.read_bytes(), p.stat()) for p in (school.data / "server").glob("open-hydra.db*")}
        server = school.child("server")
        os.kill(server, signal.SIGSTOP)
        for path in kept:
            os.truncate(path, 0)
        (school.data / "server/open-hydra.db").write_bytes(b"not a database at all")
        os.kill(server, signal.SIGKILL)
        lines = len(school.lines)
        wait_until(lambda: school.admin().get("/readyz", timeout=20).status_code == 503, 30, what="503")
        for _ in range(3 * TIMES):
            answer = school.admin().get("openhydrausers/anna", timeout=10)
            assert answer.status_code == 503 and answer.json()["kind"] == "Status", answer.text
            assert school.log_in("anna", timeout=10).status_code == 503
            out = school.kubectl("get", "devices", "--request-timeout=10s", check=False)
            assert out.returncode != 0 and "deadline" not in out.stderr, out.stderr
            time.sleep(2)
        assert len(school.lines) - lines < 20 + TIMES, school.output()[-3000:]
        assert os.path.exists(f"/proc/{environment}")
        for path, (content, was) in kept.items():
            path.write_bytes(content)
            os.chown(path, was.st_uid, was.st_gid)
        wait_until(school.ready, 60, what="it is there again")
        assert school.pid("anna") == environment and school.answers("anna")


def test_read_only(disk):
    with opened(disk) as school:
        school.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(disk.path)], check=True)
        out = subprocess.run(school.command("run"), env=school.env, capture_output=True, text=True, timeout=60)
        assert out.returncode != 0
        assert "read-only" in (out.stdout + out.stderr).lower(), out.stderr
        subprocess.run(["mount", "-o", "remount,rw", str(disk.path)], check=True)
        school.start()
        assert school.log_in("headmaster", "the-head-knows").status_code == 200
