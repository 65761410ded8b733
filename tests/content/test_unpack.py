import io
import os
import pathlib
import signal
import stat
import subprocess
import tarfile
import unicodedata
import zipfile

import pytest

import hostile
import shelf
from archives import FILTERS, Member, entry, seven_zip, tar_of, zip_of
from support.instance import wait_until
from support.processes import children, is_running

COURSE = {"第一课/讲义.ipynb": b'{"cells": []}' * 1000, "第一课/data/数据.csv": b"1,2\n" * 50000, "readme.txt": b"hello\n", "empty": b"",
          "run.sh": b"#!/bin/sh\n"}


@pytest.fixture
def place(tmp_path):
    """A folder to unpack into, alone in another one."""
    (tmp_path / "outer/inner").mkdir(parents=True)
    yield tmp_path
    assert [p.name for p in (tmp_path / "outer").iterdir()] == ["inner"]


def send(place, data, name="a.zip", **rest):
    (place / "archive").write_bytes(data)
    return shelf.unpack(place / "archive", name, place / "outer/inner", **rest)


def inside(place):
    return shelf.files(place / "outer/inner")


def made(make, place):
    if make.__code__.co_argcount == 0:
        return make()
    (place / "source").mkdir()
    return make(place / "source")


# ---- What it takes --------------------------------------------------------------------------------------------------


def course_tar():
    return tar_of(*[entry(name, data, mode=0o755 if name.endswith(".sh") else 0o640) for name, data in COURSE.items()])


def course_zip(packing):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as z:
        for name, data in COURSE.items():
            # An empty file that is packed by LZMA is more than libarchive understands.
            packing_of = packing if data else zipfile.ZIP_STORED
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o755 if name.endswith(".sh") else 0o600) << 16
            z.writestr(info, data, packing_of)
    return out.getvalue()


def course_7z(place):
    for name, data in COURSE.items():
        path = place / "course" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if name.endswith(".sh") else 0o600)
    return seven_zip(place / "course", *os.listdir(place / "course"))


FORMS = {
    "c.zip": lambda place: course_zip(zipfile.ZIP_DEFLATED),
    "stored.zip": lambda place: course_zip(zipfile.ZIP_STORED),
    "bzip2.zip": lambda place: course_zip(zipfile.ZIP_BZIP2),
    "lzma.ZIP": lambda place: course_zip(zipfile.ZIP_LZMA),
    "c.tar": lambda place: course_tar(),
    "c.7z": course_7z,
    **{f"c.tar.{f}": lambda place, f=f: FILTERS[f](course_tar()) for f in FILTERS},
    "c.TGZ": lambda place: FILTERS["gz"](course_tar()),
    "c.tzst": lambda place: FILTERS["zst"](course_tar()),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_course_comes_out_as_it_went_in(place, name):
    got = send(place, FORMS[name](place), name)
    assert got == {"ok": True, "bytes": sum(map(len, COURSE.values())), "files": len(COURSE)}
    assert inside(place) == COURSE
    shelf.only_harmless(place / "outer/inner")
    assert stat.S_IMODE((place / "outer/inner/run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "outer/inner/readme.txt").stat().st_mode) == 0o644


def test_the_common_folder_stays(place):
    assert send(place, zip_of(Member("course/", b"", mode=0o40755), Member("course/f")))["ok"]
    assert list(inside(place)) == ["course/f"]


def test_names_of_a_chinese_windows(place):
    """As its Explorer writes them: GB18030 without a word; 7-Zip marks those that this cannot say."""
    names = ["中文/数据.txt", "联通.txt", "镕.csv", "ascii.txt", "€.txt"]
    members = [Member(n.encode("gb18030"), system=0) for n in names] + [Member("é/ü.txt", flags=0x800, system=0)]
    assert send(place, zip_of(*members))["ok"]
    assert set(inside(place)) == {*names, "é/ü.txt"}


def test_names_of_a_mac_are_composed(place):
    split = unicodedata.normalize("NFD", "Café/über.txt")
    assert send(place, zip_of(Member(split, flags=0x800)))["ok"]
    assert set(inside(place)) == {unicodedata.normalize("NFC", split)}


def test_a_file_alone_keeps_its_name_and_bytes(place):
    data = os.urandom(3 << 20)
    assert send(place, data, "模型.pt") == {"ok": True, "bytes": len(data), "files": 1}
    assert inside(place) == {"模型.pt": data}


def test_the_archive_is_read_from_its_begin_and_left_where_it_was(place):
    (place / "archive").write_bytes(zip_of(Member("f")))
    with open(place / "archive", "rb") as f:
        f.seek(7)
        got = shelf.unpack(f"/proc/{os.getpid()}/fd/{f.fileno()}", "a.zip", place / "outer/inner")
        assert got["ok"] and f.tell() == 7


# ---- What it does not -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", hostile.REFUSED)
def test_hostile_is_refused(place, case):
    name, make, reason, text = hostile.REFUSED[case]
    got = send(place, made(make, place), name, **hostile.LIMITS)
    assert not got["ok"] and got["reason"] == reason and text in got["message"], got
    assert got["message"].isprintable() and name.split("/")[0].rstrip("\r")[:1] in got["message"]
    shelf.only_harmless(place / "outer/inner")
    assert sum(map(len, inside(place).values())) <= hostile.LIMITS["bytes"]


@pytest.mark.parametrize("case", hostile.TAKEN)
def test_hostile_is_made_harmless(place, case):
    name, make, left = hostile.TAKEN[case]
    got = send(place, made(make, place), name, **hostile.LIMITS)
    assert got["ok"], got
    assert sorted(inside(place)) == sorted(left)
    assert got["bytes"] == sum(map(len, inside(place).values())) and got["files"] == len(left)
    shelf.only_harmless(place / "outer/inner")


def test_there_are_enough_of_them():
    assert len(hostile.REFUSED) + len(hostile.TAKEN) >= 100


def test_an_error_names_the_entry_and_the_archive(place):
    got = send(place, zip_of(Member("ok"), Member("课件/l", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)), "第一课.zip")
    assert got["message"].startswith('"第一课.zip": entry "课件/l": is a link (to "/etc/passwd")')


# ---- Ends -----------------------------------------------------------------------------------------------------------


def slow_archive(place, mib=400):
    """Takes a few seconds: much comes of it."""
    piece = os.urandom(1 << 16) * 16
    with tarfile.open(place / "archive", "w") as t:
        for i in range(mib):
            info, _ = entry(f"f{i}", piece)
            t.addfile(info, io.BytesIO(piece))
    return place / "archive"


def start(place):
    archive = slow_archive(place)
    stand = subprocess.Popen(shelf.command(archive, "a.tar", place / "outer/inner"), stdout=subprocess.PIPE, text=True)
    wait_until(lambda: any((place / "outer/inner").iterdir()), what="it writes")
    return stand, children(stand.pid)[0]


def test_who_asked_may_end_it(place):
    got = shelf.unpack(slow_archive(place), "a.tar", place / "outer/inner", stop=20 << 20)
    assert not got["ok"] and got["reason"] == "Conflict"
    assert 20 << 20 <= got["bytes"] < 400 << 20


def test_it_ends_with_who_asked(place):
    stand, child = start(place)
    stand.kill()
    stand.wait()
    wait_until(lambda: not is_running(child), what="it ends")


def test_killed_it_is_an_error(place):
    stand, child = start(place)
    os.kill(child, signal.SIGKILL)
    out, _ = stand.communicate()
    assert '"reason":"InternalError"' in out and "signal 9" in out


def test_what_says_nothing_is_ended(place):
    archive = slow_archive(place)
    stand = subprocess.Popen(shelf.command(archive, "a.tar", place / "outer/inner", silent=4), stdout=subprocess.PIPE, text=True)
    wait_until(lambda: any((place / "outer/inner").iterdir()), what="it writes")
    child = children(stand.pid)[0]
    os.kill(child, signal.SIGSTOP)
    out, _ = stand.communicate()
    assert '"reason":"Timeout"' in out and not pathlib.Path(f"/proc/{child}").exists()


@pytest.mark.parametrize("times", range(5))
def test_killed_anywhere_nothing_is_left(place, times):
    """Who asked is killed while it unpacks; what is on the shelf is found and removed by the next start."""
    base = place / "base"
    base.mkdir()
    assert shelf.ask("stage", base, "up")["ok"]
    staged = base / ".open-hydra/new/up"
    stand = subprocess.Popen(shelf.command(slow_archive(place, 60), "a.tar", staged), stdout=subprocess.PIPE, text=True)
    wait_until(lambda: len(list(staged.iterdir())) > 10 * times, every=0.001, what="it writes")
    child = children(stand.pid)
    stand.kill()
    stand.wait()
    wait_until(lambda: not child or not is_running(child[0]), what="it ends")
    assert shelf.ask("recover", base)["ok"] and shelf.ask("sweep", base)["ok"]
    assert [str(p.relative_to(base)) for p in sorted(base.rglob("*"))] == [".open-hydra", *(f".open-hydra/{n}" for n in ("new", "trash", "versions"))]


@pytest.mark.root
def test_a_full_disk(place):
    inner = place / "outer/inner"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", inner], check=True)
    try:
        got = send(place, tar_of(*[entry(f"f{i}", bytes(1 << 20)) for i in range(8)]), "a.tar")
        assert not got["ok"] and got["reason"] == "InsufficientStorage" and 'entry "f' in got["message"], got
    finally:
        subprocess.run(["umount", "-l", inner], check=True)


@pytest.mark.root
def test_no_more_names_on_a_disk(place):
    inner = place / "outer/inner"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=20,mode=755", "none", inner], check=True)
    try:
        got = send(place, tar_of(*[entry(f"d/f{i}", b"") for i in range(40)]), "a.tar")
        assert not got["ok"] and got["reason"] == "InsufficientStorage", got
    finally:
        subprocess.run(["umount", "-l", inner], check=True)


def test_nobody_else_starts_it():
    out = subprocess.run([shelf.UNPACK], capture_output=True, text=True)
    assert out.returncode == 2 and "started by open-hydra-server alone" in out.stderr


def test_without_the_program_there_is_an_error(place, monkeypatch):
    monkeypatch.setattr(shelf, "UNPACK", place / "missing")
    got = send(place, zip_of(Member("f")))
    assert not got["ok"] and "missing" in got["message"]


def test_it_has_little_to_begin_with(place):
    """Neither variables nor descriptors of who started it."""
    os.environ["SECRET_OF_THE_PARENT"] = "x"
    stand, child = start(place)
    try:
        os.kill(child, signal.SIGSTOP)
        assert b"SECRET" not in pathlib.Path(f"/proc/{child}/environ").read_bytes()
        assert sorted(map(int, os.listdir(f"/proc/{child}/fd")))[:4] == [0, 1, 2, 3]
        status = pathlib.Path(f"/proc/{child}/status").read_text()
        assert os.getpriority(os.PRIO_PROCESS, child) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    finally:
        os.kill(child, signal.SIGKILL)
        stand.wait()
        del os.environ["SECRET_OF_THE_PARENT"]
