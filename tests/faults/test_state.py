"""DATA as it comes back: copied while it was written, restored by root, damaged, emptied."""
import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess

import pytest
from school import TIMES, School, Writers
from support import database
from support.instance import wait_until
from support.writers import USERS

pytestmark = pytest.mark.root


@pytest.fixture
def school():
    s = School()
    try:
        yield s.open()
    finally:
        with contextlib.suppress(AssertionError):
            s.stop()
        s.down()
        s.remove()


def start_fails(school, *words):
    """The start is refused, and says these words."""
    out = subprocess.run(school.command("run"), env=school.env, capture_output=True, text=True, timeout=60)
    said = out.stdout + out.stderr
    assert out.returncode != 0, said
    assert "Sanitizer" not in said
    for word in words:
        assert word in said, said
    return said


def test_copies_while_it_writes(school):
    """Each is sound, or refused with a reason; none is served with less than it had when it was begun."""
    sound = refused = 0
    copy = School()
    with Writers(school) as writers:
        for _ in range(4 * TIMES):
            writers.go_on(50, 60)
            known = {name for w in writers.writers for name in list(w.present)}
            shutil.rmtree(copy.data, ignore_errors=True)
            subprocess.run(["cp", "-a", str(school.data), str(copy.data)], check=True, stderr=subprocess.DEVNULL)
            try:
                copy.start()
            except AssertionError as e:
                assert "open-hydra.db" in str(e), e
                refused += 1
                continue
            copy.token = school.token
            status, answer = copy.ask("GET", USERS)
            assert status == 200, answer
            names = {i["metadata"]["name"] for i in answer["items"]}
            missing = known - names
            assert all(gone(school, n) for n in missing), missing
            sound += 1
            copy.stop()
    copy.remove()
    print(f"{sound} sound, {refused} refused")
    assert sound, "not one was sound"


def gone(school, name):
    return school.ask("GET", f"{USERS}/{name}")[0] == 404


def test_restored_by_root(school):
    """As `cp` by root brings it back: all of it, or some files, are root's and for root alone."""
    school.create_user("anna")
    for round in range(2 * TIMES):
        school.stop()
        files = [p for p in sorted(school.data.rglob("*")) if not p.is_symlink() and "workspace" not in p.parts]
        for path in files if round % 2 == 0 else school.chance.sample(files, len(files) // 3):
            os.chown(path, 0, 0)
            path.chmod(0o700 if path.is_dir() else 0o600)
        school.start()
        assert school.log_in("anna").status_code == 200
        assert school.admin().get("openhydrausers/anna").status_code == 200


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_a_database_that_is_gone(school, how):
    """Is no new installation: nothing is handed out, and what runs goes on."""
    school.student("anna")
    uid = school.device("anna")["metadata"]["uid"]
    school.stop()
    folder = school.data / "server"
    kept = school.home / "kept"
    shutil.copytree(folder, kept, symlinks=True)
    for path in folder.glob("open-hydra.db*"):
        path.unlink()
    if how == "empty":
        (folder / "open-hydra.db").touch()
        os.chown(folder / "open-hydra.db", folder.stat().st_uid, folder.stat().st_gid)
    said = start_fails(school, "open-hydra.db")
    assert "/setup?code=" not in said
    for path in folder.glob("open-hydra.db*"):
        path.unlink()
    for path in kept.glob("open-hydra.db*"):
        shutil.copy2(path, folder)
        os.chown(folder / path.name, folder.stat().st_uid, folder.stat().st_gid)
    school.start()
    assert school.wait_phase("anna", "Running", 60)["metadata"]["uid"] == uid
    assert school.answers("anna")


def test_a_damaged_object(school):
    """It stops nobody, is named, can be deleted; what runs for it goes on until then."""
    school.student("anna")
    environment = school.pid("anna")
    school.create_user("ben")
    school.stop()
    for kind in ("devices", "openhydrausers"):
        database.cut_off(school, kind, "anna")
    school.start()
    wait_until(lambda: "anna: the list of devices does not hold it" in school.output(), 30, what="it is missed")
    for kind in ("devices", "openhydrausers"):
        assert f'{kind} "anna" is damaged and set aside' in school.output()
        assert "anna" not in [i["metadata"]["name"] for i in school.admin().get(kind).json()["items"]]
    school.create_device("ben", sandboxName="hostile")
    school.wait_phase("ben", "Running", 60)
    assert school.answers("ben")
    # Another runner misses it, too.
    before = school.child("runner")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: school.output().count("anna: the list of devices does not hold it") == 2, 30, what="it is missed again")
    assert os.path.exists(f"/proc/{environment}") and len({p.partition('.')[0] for p in school.leftovers()[1]}) == 2
    for kind in ("devices", "openhydrausers"):
        assert school.admin().delete(f"{kind}/anna").status_code in (200, 202), kind
        wait_until(lambda: school.admin().get(f"{kind}/anna").status_code == 404, 30, what="gone")
    wait_until(lambda: not os.path.exists(f"/proc/{environment}"), 30, what="its environment ends with it")
    school.student("anna")
    assert school.answers("anna")


@pytest.mark.parametrize("damage", ["header", "first page", "half", "another program's", "garbage"])
def test_a_database_that_is_none(school, damage):
    school.stop()
    path = school.data / "server/open-hydra.db"
    size = path.stat().st_size
    with open(path, "r+b") as f:
        if damage == "header":
            f.write(b"x" * 16)
        elif damage == "first page":
            f.write(os.urandom(4096))
        elif damage == "half":
            f.truncate(size // 2 // 4096 * 4096)
        elif damage == "garbage":
            f.write(os.urandom(size))
    for wal in ("-wal", "-shm"):
        pathlib.Path(f"{path}{wal}").unlink(missing_ok=True)
    if damage == "another program's":
        path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("create table something(a)")
            db.commit()
        os.chown(path, path.parent.stat().st_uid, path.parent.stat().st_gid)
    start_fails(school, "open-hydra.db")


def test_an_authority_without_its_certificate(school):
    """Kubeconfigs that were handed out would be worth nothing: it is never made anew over an existing key."""
    school.stop()
    certificate = school.data / "pki/ca.crt"
    key = (school.data / "pki/ca.key").read_bytes()
    text = certificate.read_bytes()
    certificate.unlink()
    start_fails(school, "ca.crt")
    assert (school.data / "pki/ca.key").read_bytes() == key
    certificate.write_bytes(text)
    school.start()
    assert school.admin().get("openhydrausers").status_code == 200
