"""What a service user plants in its own folder leads root's process nowhere: neither at a start nor in the running renewal."""
import hashlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

import pytest

from support.instance import Instance, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user all are that user")
# nginx's own, which it makes as itself.
NGINX_OWN = {"body", "proxy", "fastcgi", "uwsgi", "scgi"}


def content_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def snapshot(folder):
    """All that somebody could have changed: owners, modes, kinds, contents, names."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        st = path.lstat()
        found[str(path)] = (st.st_mode, st.st_uid, st.st_gid, content_of(path) if stat.S_ISREG(st.st_mode) else None)
    return found


class Victim:
    """Root's files, named as those that are written, and one for each user to see that root's process does not give it away."""

    def __init__(self, names):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ohv-", dir="/tmp"))
        self.folder.chmod(0o755)
        for name in names:
            path = self.folder / "folder" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"root's own {name}\n")
            path.chmod(0o600)
        (self.folder / "file").write_text("root's own\n")
        (self.folder / "file").chmod(0o600)
        (self.folder / "empty").mkdir(mode=0o755)
        self.before = snapshot(self.folder)

    def assert_untouched(self):
        assert snapshot(self.folder) == self.before


PLANT = """
import json, os, shutil, sys
def clear(p):
    if os.path.isdir(p) and not os.path.islink(p): shutil.rmtree(p)
    elif os.path.lexists(p): os.unlink(p)
for path, kind, to in json.load(sys.stdin):
    clear(path)
    if kind == 'symlink': os.symlink(to, path)
    elif kind == 'fifo': os.mkfifo(path)
    elif kind == 'file': open(path, 'w').write('planted')
    elif kind == 'closed': open(path, 'w').write('planted'); os.chmod(path, 0)
    elif kind == 'folder': os.makedirs(path + '/a/b'); open(path + '/a/b/c', 'w').write('planted'); os.chmod(path + '/a', 0)
"""


def plant(uid, wanted):
    wanted = [(str(path), kind, str(to)) for path, kind, to in wanted]
    subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "/usr/bin/python3", "-c", PLANT],
                   input=json.dumps(wanted), text=True, check=True, cwd="/")


def hard_link(path, to):
    """As a user of a kernel that does not protect them could."""
    path.unlink(missing_ok=True)
    os.link(to, path)


@pytest.fixture(scope="module")
def world():
    instance = Instance(config={"certificateCheckSeconds": 1})
    with instance:
        yield instance


class Gateway:
    def __init__(self, instance):
        self.folder = instance.data / "gateway"
        self.uid = self.folder.stat().st_uid
        below = [p.relative_to(self.folder) for p in self.folder.rglob("*")]
        below = [p for p in below if p.parts[0] not in NGINX_OWN and p.suffix != ".new"]
        self.files = [str(p) for p in below if (self.folder / p).is_file()]
        self.folders = [str(p) for p in below if (self.folder / p).is_dir()]
        self.good = {name: content_of(self.folder / name) for name in self.files}

    def heals(self, but=()):
        """`but`: files whose content may be another."""
        for name in self.files:
            path = self.folder / name
            try:
                st = path.lstat()
                if not stat.S_ISREG(st.st_mode) or st.st_uid != self.uid or st.st_nlink != 1 or \
                        name not in but and content_of(path) != self.good[name]:
                    return False
            except OSError:
                return False
        for name in self.folders:
            st = (self.folder / name).lstat()
            if not stat.S_ISDIR(st.st_mode) or st.st_uid != self.uid:
                return False
        return True


def planted(gateway, victim, kind):
    """(path, kind, target) for everything that is written, by what stands in its place."""
    files = gateway.files + [f"{name}.new" for name in gateway.files]
    if kind in ("fifo", "folder", "closed"):
        return [(gateway.folder / name, kind, "") for name in files]
    if kind == "symlink to a file":
        return [(gateway.folder / name, "symlink", victim.folder / "folder" / name.removesuffix(".new")) for name in files]
    if kind == "symlink to nothing":
        return [(gateway.folder / name, "symlink", victim.folder / "empty" / f"made-{i}") for i, name in enumerate(files)]
    if kind == "symlink to a folder":
        return [(gateway.folder / name, "symlink", victim.folder / "empty") for name in files]
    if kind == "folders as symlinks":
        return [(gateway.folder / name, "symlink", victim.folder / "folder" / name) for name in gateway.folders if "/" not in name]
    if kind == "folders as symlinks to an empty one":
        return [(gateway.folder / name, "symlink", victim.folder / "empty") for name in gateway.folders if "/" not in name]
    if kind == "inner folders as symlinks":
        return [(gateway.folder / name, "symlink", victim.folder / "folder" / name) for name in gateway.folders if "/" in name]
    if kind == "folders as files":
        return [(gateway.folder / name, "file", "") for name in gateway.folders if "/" not in name]
    raise AssertionError(kind)


KINDS = ["fifo", "folder", "closed", "symlink to a file", "symlink to nothing", "symlink to a folder", "folders as symlinks",
         "folders as symlinks to an empty one", "inner folders as symlinks", "folders as files", "hard link", "hard link beside"]


def plant_all(gateway, victim, kind):
    if kind.startswith("hard link"):
        for name in gateway.files:
            hard_link(gateway.folder / (name + (".new" if kind.endswith("beside") else "")), victim.folder / "folder" / name)
    else:
        wanted = planted(gateway, victim, kind)
        assert wanted
        plant(gateway.uid, wanted)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def trap(world):
    gateway = Gateway(world)
    assert {"nginx.conf", "pki/server.key", "pki/server.crt", "pki/ca.crt", "web/index.html"} <= set(gateway.files)
    victim = Victim(gateway.files)
    yield gateway, victim
    shutil.rmtree(victim.folder)


def test_the_running_renewal(world, trap, kind):
    gateway, victim = trap
    plant_all(gateway, victim, kind)
    wait_until(gateway.heals, 60, what="everything as it should be again")
    victim.assert_untouched()
    assert world.process.poll() is None
    assert world.admin().get("/readyz").status_code == 200


@pytest.mark.parametrize("kind", ["fifo", "folder", "symlink to a file", "folders as symlinks", "hard link"], indirect=True)
def test_a_start(world, trap, kind):
    gateway, victim = trap
    world.stop()
    plant_all(gateway, victim, kind)
    world.start()
    # It names the ports that others hold, which may be others by now.
    assert gateway.heals(but=["nginx.conf"])
    victim.assert_untouched()
    assert world.admin().get("/readyz").status_code == 200


@pytest.mark.parametrize("how", ["symlink", "hard link"])
def test_the_servers_folder(how):
    """Its user puts links in the place of the database's files: a start gives nothing away."""
    instance = Instance()
    with instance:
        folder = instance.data / "server"
        uid = folder.stat().st_uid
        instance.stop()
        names = [p.name for p in folder.iterdir()] + ["open-hydra.db-wal", "open-hydra.db-shm", "open-hydra.lock", "other"]
        victim = Victim(names)
        kept = instance.home / "kept"
        shutil.copytree(folder, kept)
        try:
            if how == "symlink":
                plant(uid, [(folder / name, "symlink", victim.folder / "folder" / name) for name in names])
                plant(uid, [(folder / "sub", "symlink", victim.folder / "folder")])
            else:
                for name in names:
                    hard_link(folder / name, victim.folder / "folder" / name)
            subprocess.run(instance.command("run"), capture_output=True, timeout=90, env=instance.env)
            victim.assert_untouched()
        finally:
            shutil.rmtree(folder)
            shutil.copytree(kept, folder)
            shutil.rmtree(victim.folder)
        instance.start()
        assert instance.admin().get("/readyz").status_code == 200, "what was copied back as root is the server's again"
