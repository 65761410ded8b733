"""`sandbox from-devcontainer`: what it prints is a Sandbox that the server takes as it is."""
import os
import subprocess

import yaml

from support.answers import fresh_name
from support.instance import PROGRAM, SANITIZERS

TEXT = """\
// See https://containers.dev
{
  "name": "%s",
  "image": "registry.example/flask:2026",
  "features": {"ghcr.io/devcontainers/features/node:1": {}},
  "containerEnv": {"FLASK_DEBUG": "1", "TEXT": "on: a \\"b\\"\\n# c"},
  "forwardPorts": [5000, 8080,],
  "postStartCommand": {"web": "flask run", "log": ["tail", "-f", "/tmp/it's"]},
}
"""


def convert(*words):
    return subprocess.run([PROGRAM, "sandbox", *words], capture_output=True, text=True, timeout=60, env={**os.environ, **SANITIZERS})


def test_the_server_takes_it(hydra, tmp_path):
    name, file = fresh_name("dev"), tmp_path / "devcontainer.json"
    file.write_text(TEXT % name)
    out = convert("from-devcontainer", str(file))
    assert out.returncode == 0 and out.stderr.startswith("left out: features: ") and out.stderr.count("\n") == 1, out.stderr
    hydra.kubectl("create", "-f", "-", input=out.stdout)
    said, kept = yaml.safe_load(out.stdout)["spec"], hydra.admin().get(f"sandboxes/{name}").json()["spec"]
    assert {key: kept[key] for key in said} == said
    assert said["ports"] == [5000, 8080] and said["env"][1]["value"] == 'on: a "b"\n# c'
    hydra.kubectl("delete", "sandbox", name)


def test_mistakes(tmp_path):
    file = tmp_path / "devcontainer.json"
    assert convert("from-devcontainer", str(file)).returncode == 1
    for text, said in (("{", f"{file}:1: "), ('{"build": {}}', f"{file}: build: "), ("\0" * 10, f"{file}:1: "), ('{"image": "a", "\\u001b[2J": 1}', "")):
        file.write_text(text)
        out = convert("from-devcontainer", str(file))
        assert said in out.stderr and "\x1b" not in out.stderr
        assert out.returncode == (1 if said else 0) and (out.stdout == "") == bool(said)
    for words in ((), ("from-devcontainer",), ("from-nothing", str(file)), ("from-devcontainer", str(file), "more")):
        out = convert(*words)
        assert out.returncode == 2 and out.stdout == ""
    out = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True)
    assert "sandbox from-devcontainer FILE" in out.stdout
