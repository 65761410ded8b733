"""Starts instances without an administrator and lets Chromium go the whole way (dashboard.test.mjs)."""
import os
import pathlib
import shutil
import ssl
import subprocess

import pytest

from support.instance import Instance

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def packages():
    if not (shutil.which("chromium") or os.environ.get("CHROMIUM")):
        pytest.skip("no Chromium on this machine")
    if not (HERE / "node_modules/.package-lock.json").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=HERE, check=True)


def go(instance, base, *options, **environment):
    run = subprocess.run(["node", "--test", *options, "dashboard.test.mjs"], cwd=HERE, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, env={**os.environ, "OPENHYDRA_URL": base,
                                                        "OPENHYDRA_SETUP_URL": f"{base}/setup?code={instance.setup_code}",
                                                        **environment})
    assert run.returncode == 0, run.stdout[-20000:] + instance.output()[-3000:]
    return run.stdout


@pytest.mark.root
@pytest.mark.timeout(900)
def test_in_chromium(packages, fresh):
    go(fresh, fresh.dashboard)


class OnAllAddresses(Instance):
    """Listens not only on the loopback address, and so with TLS."""

    def command(self, name, *extra):
        self.config["serverIP"] = "127.0.0.1"
        return [word.replace("127.0.0.1:", "0.0.0.0:") for word in super().command(name, *extra)]


def public_key_hash(port):
    """As Chromium wants it: the SHA-256 of the public key, base64."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    out = subprocess.run("openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
                         shell=True, input=pem, text=True, capture_output=True, check=True)
    return out.stdout.strip()


WAY = ("the set-up link", "a pasted list", "a browser that keeps no cookie", "a student starts", "an address that", "in a tab of its own", "no page broke")


@pytest.mark.root
@pytest.mark.timeout(600)
def test_over_tls(packages):
    """The way to a running cell; what is the same without TLS is not looked at again."""
    with OnAllAddresses() as instance:
        pinned = f"--ignore-certificate-errors-spki-list={public_key_hash(instance.dashboard_port)}"
        said = go(instance, f"https://127.0.0.1:{instance.dashboard_port}", *(f"--test-name-pattern={name}" for name in WAY),
                  CHROMIUM_ARGUMENTS=pinned)
        assert said.count("\nok ") >= len(WAY) and "a tab of its own" in said, said
