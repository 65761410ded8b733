"""The set-up link for whoever has no terminal that printed it: asked for by root, and by nobody else."""
import os
import subprocess

import pytest

from support.unix import ask

pytestmark = pytest.mark.root


def setup(instance):
    return subprocess.run(instance.command("setup"), env=instance.env, capture_output=True, text=True, timeout=30)


def test_setup_link(fresh):
    out = setup(fresh)
    assert out.returncode == 0 and out.stdout == f"{fresh.dashboard}/setup?code={fresh.setup_code}\n", out.stdout + out.stderr

    # From outside the code is not to be had, nor on the gateway's sockets.
    for base in (fresh.visitor(), fresh.admin()):
        assert fresh.setup_code not in base.get("/setup-code").text
    if os.geteuid() == 0:
        for name in ("gateway", "auth"):
            as_gateway = ["setpriv", f"--reuid={(fresh.runtime / 'gateway').stat().st_gid}", f"--regid={(fresh.runtime / 'gateway').stat().st_gid}",
                          "--clear-groups", "curl", "-s", "--unix-socket", str(fresh.runtime / f"gateway/{name}.sock"), "http://x/setup-code"]
            answer = subprocess.run(as_gateway, capture_output=True, text=True, timeout=30).stdout
            assert answer and fresh.setup_code not in answer
    assert ask(fresh.runtime / "runner/runner.sock", "POST", "/setup-code")[0] in (404, 405)

    answer = fresh.visitor().post("/auth/setup", json={"code": fresh.setup_code, "username": "head", "password": "the head's own words"},
                                  headers={"Origin": fresh.dashboard})
    assert answer.status_code in (200, 201), answer.text
    out = setup(fresh)
    assert out.returncode == 0 and "administrator already" in out.stdout and "code" not in out.stdout

    fresh.stop()
    out = setup(fresh)
    assert out.returncode == 1 and "is it running" in out.stderr
    fresh.start()
