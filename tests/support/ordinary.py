"""An ordinary user for a test that runs as root, without an account on this machine: each of its processes starts in a mount namespace
where /etc is a copy that knows the user and its subordinate ids."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from support.instance import PROGRAM, ROOT, SANITIZERS, Instance, wait_until
from support.processes import of_user

NAME = "open-hydra-test"
IMAGES = ROOT / "build/images"
ENTER = 'mount --bind "$1" /etc && shift && exec "$@"'


def free_id():
    """Nobody's on this machine: neither an account nor a process has it."""
    passwd = pathlib.Path("/etc/passwd").read_text()
    return next(n for n in range(61184, 65000) if f":{n}:" not in passwd and not of_user(n))


class Ordinary:
    SUBORDINATE = 1342177280

    def __init__(self, subordinate=65536):
        self.uid = free_id()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="oho-", dir="/var/tmp"))
        self.home.chmod(0o711)
        self.etc = self.home / "etc"
        shutil.copytree("/etc", self.etc, symlinks=True, ignore_dangling_symlinks=True)
        for name, line in (("passwd", f"{NAME}:x:{self.uid}:{self.uid}::{self.home}/home:/bin/sh"), ("group", f"{NAME}:x:{self.uid}:")):
            with open(self.etc / name, "a") as file:
                file.write(line + "\n")
        for name in ("subuid", "subgid"):
            with open(self.etc / name, "a") as file:
                file.write(f"{NAME}:{self.SUBORDINATE}:{subordinate}\n" if subordinate else "")
        for name, mode in (("home", 0o700), ("xdg", 0o700), ("work", 0o755)):
            self.folder(name, mode)
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": f"{self.home}/home", "XDG_RUNTIME_DIR": f"{self.home}/xdg", "LANG": "C.UTF-8"}
        self.service = None

    def folder(self, name, mode=0o755):
        path = self.home / name
        path.mkdir(mode=mode)
        path.chmod(mode)
        os.chown(path, self.uid, self.uid)
        return path

    def command(self, *command):
        return ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(self.etc), "setpriv", f"--reuid={self.uid}", f"--regid={self.uid}",
                "--clear-groups", "--", *map(str, command)]

    def run(self, *command, check=True, **env):
        out = subprocess.run(self.command(*command), env={**self.env, **env}, capture_output=True, text=True, timeout=120, cwd="/")
        assert not check or out.returncode == 0, out.stdout + out.stderr
        return out

    # ---- Podman ---------------------------------------------------------------------------------------------

    def start_service(self):
        """Where the user's own unit would have it: podman.socket of systemd --user."""
        socket = self.home / "xdg/podman/podman.sock"
        conf = self.home / "containers.conf"
        conf.write_text(subprocess.run([ROOT / "tools/engine", "conf"], capture_output=True, text=True, check=True).stdout)
        self.folder("xdg/podman", 0o700)
        with open(self.home / "service.log", "ab") as log:
            self.service = subprocess.Popen(self.command("podman", "system", "service", "--time=0", f"unix://{socket}"), stdout=log, stderr=log,
                                            env={**self.env, "CONTAINERS_CONF": str(conf), "STORAGE_DRIVER": "overlay"}, cwd="/")
        wait_until(lambda: socket.exists() or self.service.poll() is not None, 30, what="podman system service")
        assert self.service.poll() is None, (self.home / "service.log").read_text()
        return socket

    def stop_service(self):
        if self.service:
            self.service.terminate()
            self.service.wait(30)
            self.service = None
        shutil.rmtree(self.home / "xdg/podman", ignore_errors=True)

    def load(self, socket, name="jupyter-lab"):
        image = IMAGES / f"{name}.json"
        if not image.exists():
            pytest.skip(f"{image} was not built (images/build)")
        out = subprocess.run([ROOT / "images/load.py", socket, image],
                             capture_output=True, text=True, timeout=280)
        assert out.returncode == 0, out.stderr + (self.home / "service.log").read_text()

    # ---- the program ------------------------------------------------------------------------------------------

    def install(self):
        """A copy: the checkout may lie where only root can go."""
        target = self.home / "program"
        (target / "lib").mkdir(parents=True)
        shutil.copy(PROGRAM, target / "open-hydra-server")
        shutil.copytree(ROOT / "build/share", target / "share")
        for path in re.findall(r"=> (\S+)", subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout):
            if not path.startswith(("/lib", "/usr")):
                shutil.copy(path, target / "lib")
        self.env["LD_LIBRARY_PATH"] = f"{target}/lib"
        subprocess.run(["chmod", "-R", "a+rX", target], check=True)
        return target

    def remove(self):
        self.stop_service()
        for _ in range(100):
            left = of_user(self.uid)
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not left:
                break
            time.sleep(0.05)
        shutil.rmtree(self.home, ignore_errors=True)


class OrdinaryInstance(Instance):
    """`run` without root."""

    def __init__(self, user, config=None):
        if not (user.home / "program").exists():
            user.install()
        super().__init__(config=config, data=user.folder("work/instance"), environments=8)
        self.user = user
        self.env = {**user.env, **SANITIZERS}

    def command(self, name, *extra):
        command = super().command(name, *extra)
        command[0] = self.user.home / "program/open-hydra-server"
        command[command.index("--web") + 1] = self.user.home / "program/share/web"
        return self.user.command(*command)

    def inside(self, path):
        """The same file where runner, gateway and containers see it: in Podman's mount namespace."""
        return pathlib.Path(f"/proc/{self.child('nginx')}/root{path}")


def usable_podman():
    """Why rootless Podman cannot be had here; None: it can."""
    if shutil.which("podman") is None or shutil.which("newuidmap") is None:
        return "podman or newuidmap (package uidmap) is not installed"
    user = Ordinary()
    try:
        out = user.run("podman", "info", "--format", "json", check=False, STORAGE_DRIVER="overlay")
        if out.returncode:
            return "rootless Podman does not work on this machine: " + out.stderr.strip()[-300:]
        return None if json.loads(out.stdout)["host"]["security"]["rootless"] else "Podman takes an ordinary user for root"
    finally:
        user.remove()
