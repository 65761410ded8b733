"""A full disk: who can still do what, and who is told."""
import os
import subprocess
import tempfile

import pytest

from support.answers import is_status
from support.instance import Instance, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def small():
    """An instance whose data lie on 96 MiB."""
    with tempfile.TemporaryDirectory(prefix="oh-small-", dir="/tmp") as home:
        os.makedirs(f"{home}/data")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "small", f"{home}/data"], check=True)
        try:
            with Instance(data=home) as instance:
                yield instance
        finally:
            subprocess.run(["umount", f"{home}/data"], check=True)


def fill(instance):
    """Takes all that is left, as a student's program does. Again: what was given up meanwhile, too."""
    subprocess.run(["sh", "-c", f"cat /dev/zero >> {instance.data}/ballast"], stderr=subprocess.DEVNULL)
    return instance.data / "ballast"


def database_has_room(instance):
    wal = instance.data / "server/open-hydra.db-wal"
    return wal.exists() and wal.stat().st_blocks * 512 >= 12 << 20 and \
        (instance.data / "server/open-hydra.db").stat().st_size > 3 << 20


def test_full_disk(small):
    admin = small.admin()
    assert admin.post("sandboxes", json={"metadata": {"name": "imageless"}, "spec": {
        "cpuImageName": "localhost/open-hydra/nowhere:none", "socket": "/run/open-hydra/environment.sock"}}).status_code == 201
    for name in ("ann", "bob"):
        small.create_user(name)
        small.create_device(name, sandboxName="imageless")
    wait_until(lambda: database_has_room(small), 60, what="room for the database")
    assert admin.get("/readyz").text == "ok"
    ballast = fill(small)

    # What is new is refused, and says why.
    answer = admin.post("openhydrausers", json={"metadata": {"name": "carl"}, "spec": {"password": "password", "role": 2}})
    is_status(answer, 507, "InsufficientStorage", "(0.0 MiB free, 3.0 MiB wanted)")
    assert "usage" in answer.json()["message"]
    # Logins, stops and the runner's words go on, as long as it takes.
    for _ in range(5):
        small.login("ann", "password")
        fill(small)
    assert admin.delete("devices/ann").status_code == 200
    small.wait_gone("ann")
    fill(small)
    for path in ("/readyz", "/healthz"):
        answer = admin.get(path)
        assert answer.status_code == 503 and f"[-]store failed: the disk of the database is full" in answer.text
        assert f"{path[1:]} check failed" in answer.text
    assert admin.get("/livez").text == "ok"

    ballast.unlink()
    assert admin.get("/readyz").status_code == 200
    small.create_user("carl")
