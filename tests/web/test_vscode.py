"""A student's VS Code, real: through nginx and Chromium, in a container, on the student's files (vscode.test.mjs)."""
import os
import subprocess

import pytest

from test_dashboard import HERE, packages  # noqa: F401

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]
FILES = {"hello.py": "print('before')\n", "read.md": "# A heading\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"}


@pytest.fixture
def eve(fresh):
    """A student whose home, of an environment that has run once, holds files."""
    fresh.create_user("eve")
    fresh.create_device("eve", ideType="vscode")
    device = fresh.wait_phase("eve", "Running", 180)
    home = fresh.data / "workspace/vscode/eve"
    owner = device["status"]["hostId"] + 1000
    for name, text in FILES.items():
        (home / name).write_text(text)
        os.chown(home / name, owner, owner)
    assert fresh.admin().delete("devices/eve").status_code == 200
    fresh.wait_gone("eve")
    return home


def test_in_chromium(packages, fresh, eve):  # noqa: F811
    run = subprocess.run(["node", "--test", "vscode.test.mjs"], cwd=HERE, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env={**os.environ, "OPENHYDRA_URL": fresh.dashboard, "OPENHYDRA_STUDENT": "eve:password"})
    assert run.returncode == 0, run.stdout[-20000:] + fresh.output()[-3000:]
    assert (eve / "hello.py").read_text() == "total = 40\ntotal += 2\nprint(total)\n"
