"""`usage` says who has how much, whatever lies in a home."""
import os
import re
import subprocess

from support.instance import Instance


def lines(instance):
    out = subprocess.run(instance.command("usage"), env=instance.env, capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    return out.stdout.splitlines()


def test_usage(fresh):
    homes = fresh.data / "workspace/jupyter-lab"
    for user, mebibytes in (("ann", 3), ("bob", 20), ("carl", 0)):
        (homes / user).mkdir(parents=True)
        if mebibytes:
            (homes / user / "large").write_bytes(b"x" * (mebibytes << 20))
    kept = homes / ".open-hydra/kept/ann.20261128T083000Z.u"  # a former user's: it has room of the disk as well
    kept.mkdir(parents=True)
    (kept / "large").write_bytes(b"x" * (10 << 20))
    (homes / ".open-hydra/owners").mkdir()
    # What is no file of theirs counts for nothing; a second name of one does not double it.
    (homes / "ann/elsewhere").symlink_to("/usr")
    os.link(homes / "bob/large", homes / "bob/again")
    deep = homes / "carl"
    for _ in range(140):
        deep = deep / "d"
        deep.mkdir()
    head, titles, *rest = lines(fresh)
    assert re.fullmatch(rf"{fresh.data}/workspace: [0-9.]+ of [0-9.]+ MiB free, \d+ more files", head)
    assert titles.split() == ["MiB", "FILES", "HOME"]
    found = {line.split()[-1]: line.split()[:2] for line in rest}
    assert [line.split()[-1] for line in rest] == ["jupyter-lab/bob", f"jupyter-lab/{kept.name}", "jupyter-lab/ann", "jupyter-lab/carl"], "the largest first"
    assert 20 <= float(found["jupyter-lab/bob"][0]) < 21 and found["jupyter-lab/bob"][1] == "3"
    assert 3 <= float(found["jupyter-lab/ann"][0]) < 4 and found["jupyter-lab/ann"][1] == "3"
    assert found["jupyter-lab/carl"][1] == "129+", "not all of it was looked at"


def test_usage_of_what_is_not_there():
    instance = Instance()
    try:
        out = subprocess.run(instance.command("usage"), env=instance.env, capture_output=True, text=True, timeout=60)
        assert out.returncode == 1 and f"{instance.data}/workspace: No such file" in out.stderr, out.stdout + out.stderr
    finally:
        instance.remove()
