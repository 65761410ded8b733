"""Whose a home is: users made again, files that are another's, homes that are moved to another machine."""
import json
import os
import pathlib
import subprocess

import pytest

from runner.stack import BUILD, Stack
from support.instance import wait_until

RANGE = 65536


def homes(stack, *words, check=True):
    link = stack.runtime / "runner/runner.sock"
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(stack.runtime / "runner.sock")
    out = subprocess.run([BUILD / "src/open-hydra-server", "homes", *words, "--data", stack.data, "--runtime", stack.runtime, "--config", stack.config],
                         capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert not check or out.returncode == 0, out.stdout + out.stderr
    return out


def listed(stack):
    return {one["home"]: one for one in json.loads(homes(stack, "list", "-o", "json").stdout)}


def home(stack, name, sandbox="plain"):
    return stack.data / "workspace" / sandbox / name


def start(stack, name):
    stack.create(name)
    return stack.wait(name, "Running", seconds=60)


def stop(stack, name):
    stack.delete(name)
    stack.wait_gone(name)


def delete_user(stack, name):
    assert stack.api("DELETE", f"openhydrausers/{name}")[0] == 200
    wait_until(lambda: stack.api("GET", f"openhydrausers/{name}")[0] == 404, 60, what="user gone")


def owners(folder):
    return {p.lstat().st_uid for p in [folder, *folder.rglob("*")]}


def write_as(path, owner, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.chown(path, owner, owner)


def former_and_new(stack, name="ada"):
    """One who has a diary, is deleted, and another of that name, whose environment runs."""
    first = start(stack, name)
    write_as(home(stack, name) / "diary", first["hostId"] + 1000, "private")
    stop(stack, name)
    uid = stack.api("GET", f"openhydrausers/{name}")[1]["metadata"]["uid"]
    delete_user(stack, name)
    assert listed(stack)[f"plain/{name}"]["state"] == "leftover"
    return first, uid, start(stack, name)


def test_who_is_made_again_begins_without_files(stack):
    first, uid, second = former_and_new(stack)
    assert not (home(stack, "ada") / "diary").exists()
    assert second["hostId"] != first["hostId"]
    said = stack.condition("ada", "HomeContinued")
    assert (said["status"], said["reason"]) == ("False", "FormerUser") and "homes list" in said["message"]
    all_ = listed(stack)
    assert all_.pop("plain/ada")["state"] == "running"
    (kept,) = all_.values()
    assert (kept["state"], kept["user"], kept["uid"]) == ("kept", "ada", uid)
    assert (pathlib.Path(kept["path"]) / "diary").read_text() == "private"
    # What is said once stays said, and nothing is set aside twice.
    stack.stop("runner")
    stack.start("runner")
    stop(stack, "ada")
    start(stack, "ada")
    assert len(listed(stack)) == 2


def test_a_kept_home_is_given_back(stack):
    _, uid, second = former_and_new(stack)
    kept = next(name for name, one in listed(stack).items() if one["state"] == "kept")
    out = homes(stack, "attach", kept, "ada", check=False)
    assert out.returncode == 1 and "delete that environment first" in out.stderr
    stop(stack, "ada")
    assert homes(stack, "attach", "plain/nobody", "ada", check=False).returncode == 1
    assert "no user bob" in homes(stack, "attach", kept, "bob", check=False).stderr
    homes(stack, "attach", kept, "ada")
    assert list(listed(stack)) == ["plain/ada"]
    start(stack, "ada")
    diary = home(stack, "ada") / "diary"
    assert diary.read_text() == "private" and diary.stat().st_uid == second["hostId"] + 1000


def test_a_kept_home_comes_into_one_that_is_used(stack):
    _, _, second = former_and_new(stack)
    write_as(home(stack, "ada") / "new", second["hostId"] + 1000)
    stop(stack, "ada")
    out = homes(stack, "attach", "plain/ada.", "ada").stdout
    assert "former-home-of-ada" in out
    start(stack, "ada")
    diary = home(stack, "ada") / "former-home-of-ada/diary"
    assert diary.read_text() == "private" and diary.stat().st_uid == second["hostId"] + 1000
    assert (home(stack, "ada") / "new").exists()


def test_archive_and_remove(stack, tmp_path):
    former_and_new(stack)
    kept = next(name for name, one in listed(stack).items() if one["state"] == "kept")
    assert "--yes" in homes(stack, "remove", kept, check=False).stderr
    assert "would be removed" in homes(stack, "remove", kept, "--dry-run").stdout
    assert "in full" in homes(stack, "remove", "plain/ada.", "--yes", check=False).stderr
    assert "delete that environment first" in homes(stack, "remove", "plain/ada", "--yes", check=False).stderr
    file = tmp_path / "ada.tar.gz"
    homes(stack, "archive", kept, file)
    inside = subprocess.run(["tar", "--numeric-owner", "-tvzf", file], capture_output=True, text=True, check=True).stdout
    assert "/diary" in inside and f"{listed(stack)[kept]['hostId']}/" in inside
    assert file.stat().st_mode & 0o777 == 0o600 and list(tmp_path.iterdir()) == [file]
    assert "there already" in homes(stack, "archive", kept, file, check=False).stderr
    assert ".tar.zst" in homes(stack, "archive", kept, tmp_path / "ada.zip", check=False).stderr
    assert len(listed(stack)) == 2
    homes(stack, "remove", kept, "--yes")
    assert list(listed(stack)) == ["plain/ada"]


def test_lists_without_a_server(stack):
    start(stack, "ada")
    stop(stack, "ada")
    assert listed(stack)["plain/ada"]["state"] == "own"
    stack.stop("runner")
    stack.stop("server")
    out = homes(stack, "list")
    assert "plain/ada" in out.stdout and "does not answer" in out.stderr
    stack.start("server")


@pytest.mark.parametrize("words", [[], ["nonsense"], ["list", "x"], ["list", "--yes"], ["attach", "x"], ["remove"], ["archive", "a", "b", "--dry-run"]])
def test_wrong_use(words, tmp_path):
    out = subprocess.run([BUILD / "src/open-hydra-server", "homes", *words, "--data", tmp_path], capture_output=True, text=True, timeout=60)
    assert out.returncode == 2 and "Usage" in out.stderr


def test_help():
    out = subprocess.run([BUILD / "src/open-hydra-server", "homes", "--help"], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0 and "attach HOME USER" in out.stdout and "archive" in out.stdout


# ---- files that are another's ------------------------------------------------------------------------------------------------


def test_a_restored_home_is_mended(stack):
    """A backup that was brought back as somebody else, links and names that lead out of it included."""
    status = start(stack, "ada")
    stop(stack, "ada")
    mine, outside = home(stack, "ada"), stack.home / "outside"
    outside.write_text("root's")
    write_as(mine / "work/a/b/c.txt", 1000)
    (mine / "link").symlink_to(outside)
    os.link(outside, mine / "name")
    subprocess.run(["chown", "-hR", "1000:1000", mine / "work", mine / "link"], check=True)
    os.chown(mine, 1000, 1000)
    start(stack, "ada")
    owner = status["hostId"] + 1000
    assert owners(mine / "work") == {owner} and mine.stat().st_uid == owner and (mine / "link").lstat().st_uid == owner
    assert outside.stat().st_uid == 0
    assert "given to the home's user" in stack.log("runner")


def test_files_of_root_are_found(stack):
    """In what a start needs before it starts, anywhere else soon after."""
    status = start(stack, "ada")
    stop(stack, "ada")
    mine, owner = home(stack, "ada"), status["hostId"] + 1000
    write_as(mine / "a/b/c/d/deep.txt", 0)
    for folder in ("a", "a/b", "a/b/c", "a/b/c/d"):
        os.chown(mine / folder, owner, owner)
    stack.stop("runner")  # it has looked through this home a moment ago, and remembers that
    stack.start("runner")
    start(stack, "ada")
    wait_until(lambda: owners(mine) == {owner}, 30, what="the file of root's is the user's")
    stop(stack, "ada")
    write_as(mine / ".local/share/jupyter/runtime/x", 0)
    os.chown(mine / ".local/share/jupyter/runtime", 0, 0)
    os.chown(mine / ".local/share/jupyter", 0, 0)
    start(stack, "ada")
    assert owners(mine) == {owner}


def test_mending_says_how_far_it_is_and_others_start(stack):
    status = start(stack, "ada")
    stop(stack, "ada")
    mine = home(stack, "ada")
    many = mine / "many"
    many.mkdir()
    for i in range(100):
        (many / str(i)).mkdir()
        for k in range(300):
            (many / str(i) / str(k)).touch()
    os.chown(mine, 0, 0)
    stack.create("ada")
    wait_until(lambda: stack.status("ada").get("reason") in ("MendingHome", "Starting", "Running") or stack.status("ada").get("phase") == "Running", 30, what="taken up")
    start(stack, "bob")
    stack.wait("ada", "Running", seconds=120)
    assert owners(mine) == {status["hostId"] + 1000}


def test_a_killed_runner_goes_on(stack):
    status = start(stack, "ada")
    stop(stack, "ada")
    mine = home(stack, "ada")
    for i in range(3000):
        write_as(mine / f"many/{i % 30}/{i}", 0)
    os.chown(mine, 0, 0)
    stack.create("ada")
    wait_until(lambda: any(p.stat().st_uid for p in mine.glob("many/*/*")) or stack.status("ada").get("phase") == "Running", 30, what="begun")
    stack.kill("runner")
    stack.start("runner")
    stack.wait("ada", "Running", seconds=60)
    assert owners(mine) == {status["hostId"] + 1000}


# ---- another machine ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["tar", "rsync"])
def test_homes_move_to_another_machine(stack, engine, way, tmp_path):
    """As docs/environments.md says it: other users, other ranges of ids."""
    start(stack, "ada")
    first = start(stack, "bob")
    write_as(home(stack, "bob") / "work/notes.txt", first["hostId"] + 1000, "mine")
    os.chown(home(stack, "bob") / "work", first["hostId"] + 1000, first["hostId"] + 1000)
    for name in ("ada", "bob"):
        stop(stack, name)
    with Stack(engine) as other:
        for name in ("carl", "dora"):  # who have the ranges here that are ada's and bob's there
            start(other, name)
        second = start(other, "bob")
        stop(other, "bob")
        assert second["hostId"] == first["hostId"] + RANGE
        here, there = f"{stack.data}/workspace", f"{other.data}/workspace"
        subprocess.run(["rm", "-r", f"{there}/plain/bob"], check=True)
        if way == "tar":
            subprocess.run(f"tar -C {here} --exclude=.open-hydra --numeric-owner -cf - plain/bob | tar -C {there} --numeric-owner -xpf -", shell=True, check=True)
        else:
            subprocess.run(["rsync", "-aHX", "--numeric-ids", "--exclude=.open-hydra", f"{here}/plain/bob", f"{there}/plain/"], check=True)
        assert owners(home(other, "bob")) == {first["hostId"] + 1000}, "dora's, here"
        start(other, "bob")
        notes = home(other, "bob") / "work/notes.txt"
        assert notes.read_text() == "mine" and owners(home(other, "bob")) == {second["hostId"] + 1000}
        assert [one["state"] for one in listed(other).values()] == ["running"] * 3
