"""Homes that once stopped an environment, or made it half work, through the gateway: tests/images/any_home.py has them all."""
import json
import os
import subprocess

import pytest

from support.answers import fresh_name
from support.lab import Lab

pytestmark = pytest.mark.root
NOTEBOOK = {"type": "notebook", "content": {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}}


class Student:
    """With a home that is there before the first start."""

    def __init__(self, hydra):
        self.hydra = hydra
        self.name = hydra.create_user(fresh_name("pupil"))["metadata"]["name"]
        self.session = hydra.login(self.name, "password")
        self.start()
        self.home = hydra.data / "workspace/jupyter-lab" / self.name
        self.owner = self.home.stat().st_uid
        self.stop()

    def give(self, path, text):
        file = self.home / path
        for folder in reversed(file.relative_to(self.home).parents):
            if not (self.home / folder).exists():
                (self.home / folder).mkdir()
                os.chown(self.home / folder, self.owner, self.owner)
        file.write_text(text)
        os.chown(file, self.owner, self.owner)

    def start(self, **spec):
        answer = self.session.post("devices", json={"metadata": {"name": self.name}, "spec": {
            "openHydraUsername": self.name, "sandboxName": "jupyter-lab", **spec}})
        assert answer.status_code == 201, answer.text
        device = self.hydra.wait_phase(self.name, "Running", 120)
        self.conditions = {each["type"]: each for each in device["status"]["conditions"]}
        return Lab(*self.hydra.environment(self.session, self.name))

    def stop(self):
        assert self.session.delete(f"devices/{self.name}").status_code == 200
        self.hydra.wait_gone(self.name)


@pytest.fixture
def student(hydra):
    student = Student(hydra)
    yield student
    student.stop()


def check_works(lab):
    lab.request("GET", "/lab", 200)
    lab.request("PUT", "/api/contents/a.ipynb", 201, json=NOTEBOOK)
    assert lab.request("GET", "/api/contents/a.ipynb?content=1", 200).json()["content"]["nbformat"] == 4
    kernel = lab.kernel()
    assert kernel.execute("6*7") == "42"
    kernel.close()
    lab.request("DELETE", "/api/contents/a.ipynb", 204)


def test_settings_packages_and_kernels(student):
    student.give(".jupyter/jupyter_server_config.py", "c = get_config()\nc.ServerApp.port = 9999\nc.IdentityProvider.token = 'mine'\n"
                 "c.ServerApp.certfile = '/home/student/gone.pem'\nc.FileContentsManager.checkpoints_class = 'no.such.Class'\n")
    student.give(".jupyter/jupyter_server_config.json", json.dumps({"IdentityProvider": {"token": ""}}))
    student.give(".local/share/jupyter/kernels/python3/kernel.json", json.dumps(
        {"argv": ["/home/student/gone/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "x", "language": "python"}))
    student.give(".local/lib/python3.13/site-packages/tornado/__init__.py", "raise RuntimeError\n")
    lab = student.start()
    assert "SafeMode" not in student.conditions
    check_works(lab)


def fill(path):
    try:
        with open(path, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass


@pytest.mark.parametrize("safe", [False, True])
def test_a_full_home(student, safe):
    """Notebooks open, saving says why it cannot, and deleting makes room."""
    owner = f"uid={student.owner},gid={student.owner}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=4m,mode=700,{owner}", "tmpfs", student.home], check=True)
    try:
        student.give("thesis.ipynb", json.dumps(NOTEBOOK["content"]))
        fill(student.home / "fill")
        os.chown(student.home / "fill", student.owner, student.owner)
        lab = student.start(**({"safeMode": True} if safe else {}))
        assert ("SafeMode" in student.conditions) == safe
        assert lab.request("GET", "/api/contents/thesis.ipynb?content=1", 200).json()["content"]["nbformat"] == 4
        text = {"type": "file", "format": "text", "content": "x" * 10000}
        assert "没有空间" in lab.request("PUT", "/api/contents/more.txt", 507, json=text).json()["message"]
        lab.request("DELETE", "/api/contents/fill", 204)
        check_works(lab)
        student.stop()
    finally:
        subprocess.run(["umount", "-l", student.home], check=True)
    student.start()


def test_safe_mode(student):
    student.give(".ipython/profile_default/startup/00.py", "own = 1\n")
    student.give(".bashrc", "exit 1\n")
    lab = student.start(safeMode=True)
    assert student.conditions["SafeMode"]["reason"] == "Asked"
    check_works(lab)
    kernel = lab.kernel()
    assert kernel.execute("'own' in globals()") == "False"
    kernel.close()
    terminal = lab.terminal()
    terminal.type("echo done-$((40+2))")
    terminal.until("done-42")
    terminal.close()
