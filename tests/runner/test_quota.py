"""Quotas of homes with real containers: measured, and enforced where the kernel of this machine can."""
import json
import os
import pathlib
import subprocess
import tempfile

import pytest

from runner.stack import Stack
from support.instance import wait_until

MERGE = "application/merge-patch+json"
MIB = 1 << 20
PATIENCE = 60  # the first look at a home is some fifteen seconds after its device was seen


def storage(stack, name):
    return stack.status(name).get("storage", {})


def set_quota(stack, name, quota):
    status, answer = stack.api("PATCH", f"openhydrausers/{name}", {"spec": {"homeQuota": quota}}, kind=MERGE)
    assert status == 200, answer


def home_of(stack, name, sandbox="plain"):
    return stack.data / "workspace" / sandbox / name


def fill(stack, name, mebibytes, sandbox="plain"):
    home = home_of(stack, name, sandbox)
    path = home / "large"
    path.write_bytes(b"x" * (mebibytes << 20))
    owner = home.stat()
    os.chown(path, owner.st_uid, owner.st_gid)
    os.sync()


def says_room(stack, name, reason):
    condition = stack.condition(name, "HomeHasRoom")
    return condition and condition["reason"] == reason


def test_measured(engine):
    """Said of all homes of a user together; far above it nothing starts, and by itself again with a larger quota. What runs goes on."""
    with Stack(engine, config="homeQuota: 10Mi\n") as stack:
        stack.sandbox("other")
        stack.create("ada")
        stack.create("bob")
        stack.wait("ada", "Running")
        stack.wait("bob", "Running")
        other = home_of(stack, "ada", "other")
        other.mkdir(parents=True)
        (other / "large").write_bytes(b"x" * (4 << 20))
        fill(stack, "ada", 8)
        wait_until(lambda: says_room(stack, "ada", "HomeOverQuota") and says_room(stack, "bob", "WithinQuota"), PATIENCE, what="measured")
        said = storage(stack, "ada")
        assert 12 * MIB <= said["usedBytes"] < 13 * MIB and said["quotaBytes"] == 10 * MIB and said["enforced"] is False
        assert said["files"] >= 4 and said["measuredAt"]
        assert "12." in stack.condition("ada", "HomeHasRoom")["message"]
        assert stack.status("ada")["phase"] == "Running" and stack.inside("ada", "/write?/home/student/more")[0] == 200

        stack.delete("ada")
        stack.wait_gone("ada")
        stack.create("ada")
        status = stack.wait("ada", "Failed", reason="HomeOverQuota")
        assert "10.0 MiB" in status["message"] and "spec.safeMode" in status["message"]
        assert stack.inspect(stack.uid("ada")) is None and storage(stack, "ada")["quotaBytes"] == 10 * MIB
        set_quota(stack, "ada", "20Mi")
        wait_until(lambda: stack.status("ada")["phase"] == "Running", 60, what="it starts by itself")
        assert says_room(stack, "ada", "WithinQuota")
        for name in ("ada", "bob"):
            stack.delete(name)
            stack.wait_gone(name)


class QuotaDisk:
    """An ext4 with project quotas on a loop device, or why there is none."""

    def __init__(self, mib=256):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="oh-quota-", dir="/tmp"))
        self.top.chmod(0o755)
        self.path = self.top / "homes"
        self.path.mkdir(mode=0o755)
        image = self.top / "image"
        with open(image, "wb") as f:
            f.truncate(mib << 20)
        subprocess.run(["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota,nodiscard", image], check=True)
        mounted = subprocess.run(["mount", "-o", "loop,prjquota", image, self.path], capture_output=True, text=True, check=False)
        self.why = mounted.stderr.strip() if mounted.returncode else None

    def remove(self):
        if self.why is None:
            subprocess.run(["umount", "-l", self.path], check=False)
        subprocess.run(["rm", "-rf", self.top], check=True)


@pytest.fixture
def quota_disk():
    disk = QuotaDisk()
    try:
        if disk.why:
            pytest.skip(f"this kernel has no project quotas on ext4: {disk.why}")
        yield disk.path
    finally:
        disk.remove()


def test_enforced(engine, quota_disk):
    """Who fills the quota is told so by the kernel, others go on, and it still starts."""
    with Stack(engine, config=f"homeQuota: 20Mi\nworkspacePath: {quota_disk}/homes\n") as stack:
        stack.create("ada")
        stack.create("bob")
        stack.wait("ada", "Running")
        stack.wait("bob", "Running")
        status, text = stack.inside("ada", "/fill?/home/student/large")
        assert status == 200 and ("quota exceeded" in str(text) or "No space left" in str(text))
        assert stack.inside("bob", "/write?/home/student/mine")[0] == 200
        wait_until(lambda: storage(stack, "ada").get("enforced") is True and says_room(stack, "ada", "HomeNearlyFull"), PATIENCE, what="said")
        stack.delete("ada")
        stack.wait_gone("ada")
        stack.create("ada")
        stack.wait("ada", "Running")
        set_quota(stack, "ada", "40Mi")
        wait_until(lambda: storage(stack, "ada").get("quotaBytes") == 40 * MIB, PATIENCE, what="more")
        wait_until(lambda: stack.inside("ada", "/write?/home/student/more")[0] == 200, 90, what="the file system knows it")
        for name in ("ada", "bob"):
            stack.delete(name)
            stack.wait_gone(name)
