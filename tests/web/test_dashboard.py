"""Starts an instance without an administrator and lets Chromium go the whole way (dashboard.test.mjs)."""
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def packages():
    if not (HERE / "node_modules/.package-lock.json").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=HERE, check=True)


@pytest.mark.root
@pytest.mark.timeout(900)
def test_in_chromium(packages, fresh):
    if not (shutil.which("chromium") or os.environ.get("CHROMIUM")):
        pytest.skip("no Chromium on this machine")
    environment = {**os.environ, "OPENHYDRA_URL": fresh.dashboard,
                   "OPENHYDRA_SETUP_URL": f"{fresh.dashboard}/setup?code={fresh.setup_code}"}
    run = subprocess.run(["node", "--test", "dashboard.test.mjs"], cwd=HERE, env=environment, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode == 0, run.stdout[-20000:] + fresh.output()[-3000:]
