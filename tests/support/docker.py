"""A Docker daemon of a test's own: nothing of the machine's, if it has one, is touched."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from support.instance import ROOT, wait_until

# Fetched by tools/setup.d/docker and never installed: a package would start its service.
FETCHED = ROOT / "build/deps/docker/usr"
PATH = f"{FETCHED}/bin:{FETCHED}/sbin:{os.environ['PATH']}:/usr/sbin"


class Dockerd:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ohd-", dir="/var/tmp"))
        self.socket = self.folder / "docker.sock"
        self.process = None

    def config(self):
        """Docker 20.10 keeps a key, in /etc unless told otherwise; newer ones know neither."""
        version = subprocess.run(["dockerd", "--version"], env={**os.environ, "PATH": PATH}, capture_output=True, text=True).stdout
        path = self.folder / "daemon.json"
        path.write_text(json.dumps({"deprecated-key-path": f"{self.folder}/key.json"} if "version 20." in version else {}))
        return path

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            ["dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", "--default-ulimit=nofile=20000:20000",
             f"--data-root={self.folder}/data", f"--exec-root={self.folder}/exec", f"--pidfile={self.folder}/pid", f"--host=unix://{self.socket}",
             "--group=0", f"--config-file={self.config()}"],
            env={**os.environ, "PATH": PATH}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder)
        log.close()
        wait_until(lambda: self.socket.exists() or self.process.poll() is not None, 60, what="dockerd")
        return self.process.poll() is None

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def said(self):
        return (self.folder / "log").read_text()[-600:]

    def load(self, name="jupyter-lab"):
        image = ROOT / f"build/images/{name}.json"
        if not image.exists():
            pytest.skip(f"{image} was not built (images/build)")
        out = subprocess.run([ROOT / "images/load.py", self.socket, image],
                             capture_output=True, text=True, timeout=280)
        assert out.returncode == 0, out.stderr + self.said()


def started():
    """One that answers, or the test is skipped with the reason."""
    if shutil.which("dockerd", path=PATH) is None:
        pytest.skip("no dockerd: neither installed nor in build/deps/docker (tools/setup test fetches it)")
    daemon = Dockerd()
    if daemon.start():
        return daemon
    why = daemon.said()
    ended(daemon)
    pytest.skip("dockerd does not run on this machine: " + why)


def ended(daemon):
    daemon.stop()
    shutil.rmtree(daemon.folder, ignore_errors=True)
