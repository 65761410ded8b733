"""BASE/NAME is the old content or the new, whatever happens."""
import os
import pathlib
import subprocess

import pytest

import shelf
from shelf import ask

FILES = 5


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    return folder


def fill(base, id, version):
    assert ask("stage", base, id)["ok"]
    for i in range(FILES):
        (base / ".open-hydra/new" / id / f"f{i}").write_text(f"{version}\n")


def publish(base, version, keep=3, name="mnist"):
    fill(base, "up", version)
    got = ask("publish", base, "up", name, version, keep)
    assert got["ok"], got


def content(base, name="mnist"):
    """Its version; None where there is nothing. Never a part of one."""
    if not (base / name).exists():
        return None
    found = shelf.files(base / name)
    assert len(found) == FILES and len(set(found.values())) == 1, found
    return int(found["f0"])


def versions(base, name="mnist"):
    got = ask("versions", base, name)
    for kept in got["kept"]:
        found = shelf.files(base / ".open-hydra/versions" / name / str(kept))
        assert set(found.values()) == {f"{kept}\n".encode()} and len(found) == FILES
    return got["present"], got["kept"]


def test_one_after_the_other(base):
    for version in range(1, 7):
        publish(base, version)
        assert content(base) == version
        assert versions(base) == (version, list(range(max(1, version - 3), version)))
    assert os.listdir(base / ".open-hydra/new") == []
    assert (base / ".open-hydra").stat().st_mode & 0o777 == 0o700


def test_none_kept(base):
    publish(base, 1, keep=0)
    publish(base, 2, keep=0)
    assert versions(base) == (2, [])
    assert ask("sweep", base)["ok"] and os.listdir(base / ".open-hydra/trash") == []


def test_back_and_forth(base):
    for version in (1, 2, 3):
        publish(base, version)
    assert ask("back", base, "mnist", 1)["ok"]
    assert content(base) == 1 and versions(base) == (1, [2, 3])
    assert ask("back", base, "mnist", 3)["ok"]
    assert content(base) == 3 and versions(base) == (3, [1, 2])
    got = ask("back", base, "mnist", 9)
    assert got["reason"] == "NotFound" and "version 9 of mnist" in got["message"]


def test_who_has_it_open_keeps_the_old(base):
    publish(base, 1, keep=0)
    with open(base / "mnist/f0") as f:
        publish(base, 2, keep=0)
        assert ask("sweep", base)["ok"]
        assert f.read() == "1\n"


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: p.write_text("x"), lambda p: p.symlink_to("/etc")])
def test_what_others_made_stays(base, make):
    make(base / "mnist")
    before = os.lstat(base / "mnist")
    fill(base, "up", 1)
    got = ask("publish", base, "up", "mnist", 1, 3)
    assert got["reason"] == "AlreadyExists" and "mnist" in got["message"]
    assert ask("remove", base, "mnist")["ok"]
    assert os.lstat(base / "mnist") == before and ask("versions", base, "mnist")["foreign"]


def test_the_same_number_again(base):
    """Who asked was killed before it wrote down that it had been done."""
    publish(base, 1)
    publish(base, 2)
    publish(base, 2)
    assert content(base) == 2 and versions(base) == (2, [1])


def test_remove(base):
    publish(base, 1)
    publish(base, 2)
    assert ask("remove", base, "mnist")["ok"]
    assert content(base) is None and versions(base) == (0, [])
    assert ask("remove", base, "mnist")["ok"]
    assert ask("sweep", base)["ok"] and os.listdir(base / ".open-hydra/trash") == []
    publish(base, 1)
    assert content(base) == 1


def test_removed_by_hand_it_may_come_again(base):
    publish(base, 1)
    (base / "mnist").rename(base / "elsewhere")
    publish(base, 2)
    assert content(base) == 2 and versions(base) == (2, [])


def test_recover_leaves_what_is_wanted(base):
    for id in ("one", "two"):
        fill(base, id, 1)
    (base / ".open-hydra/uploads").mkdir()
    (base / ".open-hydra/uploads/u").write_text("x")
    assert ask("recover", base, "two")["ok"]
    assert os.listdir(base / ".open-hydra/new") == ["two"] and (base / ".open-hydra/uploads/u").exists()


def test_sweeping_follows_no_link_and_can_be_ended(base, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "f").write_text("x")
    publish(base, 1)
    deep = base / "mnist/d"
    for _ in range(150):
        deep.mkdir()
        (deep / "l").symlink_to(precious)
        (deep / "f").write_text("x")
        deep = deep / "d"
    assert ask("remove", base, "mnist")["ok"]
    for _ in range(40):
        assert ask("sweep", base, 10)["ok"]
    assert ask("sweep", base)["ok"]
    assert os.listdir(base / ".open-hydra/trash") == [] and (precious / "f").exists()


@pytest.mark.root
def test_sweeping_enters_no_other_file_system(base):
    publish(base, 1)
    (base / "mnist/m").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", base / "mnist/m"], check=True)
    try:
        (base / "mnist/m/precious").write_text("x")
        assert ask("remove", base, "mnist")["ok"]
        got = ask("sweep", base)
        assert not got["ok"] and "m" in got["message"]
        mounted = next((base / ".open-hydra/trash").rglob("precious"))
        assert mounted.read_text() == "x"
    finally:
        subprocess.run("umount -l $(findmnt -rno TARGET -t tmpfs | grep ^%s/)" % base, shell=True, check=True)
    assert ask("sweep", base)["ok"]


def test_a_file_system_that_cannot_exchange(tmp_path):
    got = ask("versions", "/proc", "x")
    assert not got["ok"] and "/proc" in got["message"]


# ---- Killed at every point ------------------------------------------------------------------------------------------

# Everything by which it changes something.
CALLS = ("renameat2", "renameat", "unlinkat", "mkdirat", "mknodat", "fsync", "syncfs")


def killed_at(call, n, *words):
    """Killed just after the nth such call. Whether it came so far."""
    wrap = ["strace", "-qq", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}"]
    return ask(*words, wrap=wrap) is None


def each_kill(prepare, *words):
    """Killed at one call after the other."""
    for call in CALLS:
        n = 1
        while killed_at(call, n, words[0], base := prepare(), *words[1:]):
            yield base
            n += 1


@pytest.fixture
def bases(tmp_path):
    def make():
        make.n += 1
        folder = tmp_path / str(make.n)
        folder.mkdir()
        return folder

    make.n = 0
    return make


def settled(base, allowed):
    """After a new start: one of these, and nothing on its way."""
    assert content(base) in allowed, "before recovering"
    assert ask("recover", base)["ok"]
    present, kept = versions(base)
    assert (content(base), kept) in [(v, k) for v, k in allowed.items()], (content(base), kept)
    assert present == (content(base) or 0)
    left = [p.name for p in (base / ".open-hydra/versions").glob("mnist/*")]
    assert sorted(left) == sorted([*map(str, kept), *([f"present.{present}"] if present else [])])
    assert ask("sweep", base)["ok"] and os.listdir(base / ".open-hydra/trash") == []


def test_killed_while_it_replaces(bases):
    def prepare():
        base = bases()
        publish(base, 1)
        fill(base, "up", 2)
        return base

    seen = set()
    for base in each_kill(prepare, "publish", "up", "mnist", 2, 3):
        settled(base, {1: [], 2: [1]})
        seen.add(content(base))
        publish(base, 3)
        assert content(base) == 3
    assert seen == {1, 2}


def test_killed_while_it_comes_first(bases):
    def prepare():
        base = bases()
        fill(base, "up", 1)
        return base

    seen = set()
    for base in each_kill(prepare, "publish", "up", "mnist", 1, 3):
        settled(base, {None: [], 1: []})
        seen.add(content(base))
    assert seen == {None, 1}


def test_killed_while_it_goes_back(bases):
    def prepare():
        base = bases()
        publish(base, 1)
        publish(base, 2)
        return base

    seen = set()
    for base in each_kill(prepare, "back", "mnist", 1):
        settled(base, {2: [1], 1: [2]})
        seen.add(content(base))
    assert seen == {1, 2}


def test_killed_while_it_removes(bases):
    def prepare():
        base = bases()
        publish(base, 1)
        publish(base, 2)
        return base

    for base in each_kill(prepare, "remove", "mnist"):
        assert content(base) in (None, 2)
        assert ask("recover", base)["ok"] and ask("remove", base, "mnist")["ok"]
        assert content(base) is None and versions(base) == (0, [])


def test_killed_while_it_sweeps(bases):
    def prepare():
        base = bases()
        publish(base, 1)
        (base / "mnist/d/e").mkdir(parents=True)
        (base / "mnist/d/e/f").write_text("x")
        assert ask("remove", base, "mnist")["ok"]
        return base

    for base in each_kill(prepare, "sweep"):
        assert ask("sweep", base)["ok"] and os.listdir(base / ".open-hydra/trash") == []


@pytest.mark.root
def test_on_a_full_disk_the_old_content_stays():
    from faults.disk import Disk
    disk = Disk(16)
    try:
        base = pathlib.Path(disk.path) / "base"
        base.mkdir()
        publish(base, 1)
        fill(base, "up", 2)
        fill(base, "up2", 7)
        disk.fill()
        got = ask("publish", base, "up", "mnist", 2, 3)
        assert content(base) == (2 if got["ok"] else 1)
        got = ask("publish", base, "up2", "other", 7, 3)
        assert content(base, "other") == (7 if got["ok"] else None)
        disk.unfill()
        assert ask("recover", base)["ok"] and ask("sweep", base)["ok"]
        publish(base, 3)
        assert content(base) == 3
    finally:
        disk.remove()


@pytest.mark.root
def test_the_power_goes(tmp_path):
    """What was said to be done is there afterwards, whole. On ext4; the disk loses what was not written for good."""
    from faults.disk import Disk
    for version in range(1, 5):
        disk = Disk(64)
        try:
            base = pathlib.Path(disk.path) / "base"
            base.mkdir()
            for v in range(1, version + 1):
                publish(base, v)
            fill(base, "up", 99)
            disk.cut()
            disk.power_on()
            assert content(base) == version and versions(base)[1] == list(range(max(1, version - 3), version))
            assert ask("recover", base)["ok"] and os.listdir(base / ".open-hydra/new") == []
        finally:
            disk.remove()
