"""Images that come from a registry: a real one, with TLS of an authority of its own and with users."""
import gzip
import hashlib
import json
import os
import subprocess
import time

import pytest

from runner.stack import BUILD, layer, tar
from support.instance import wait_until
from support.registry import PASSWORD, PROGRAM, USER, Registry
from support.unix import ask

pytestmark = [pytest.mark.root, pytest.mark.skipif(PROGRAM is None, reason="no docker-registry")]


@pytest.fixture(scope="module")
def registry(engine):
    with Registry() as registry:
        yield registry
        forget(engine, registry)


@pytest.fixture
def closed_registry(engine):
    with Registry(authentication=True) as registry:
        yield registry
        forget(engine, registry)


def forget(engine, registry):
    """The images that were pulled from it."""
    for image in ask(engine, "GET", "/v1.41/images/json")[1]:
        for tag in image.get("RepoTags") or []:
            if tag.startswith(registry.name):
                ask(engine, "DELETE", f"/v1.41/images/{tag}?force=true")


def program():
    return layer(BUILD / "tests/runner/environment")


def noise(size):
    return tar({"noise": os.urandom(size)})


def sandbox(stack, name):
    return stack.api("GET", f"sandboxes/{name}")[1]


def status(stack, name):
    return sandbox(stack, name).get("status", {})


def image(stack, name):
    return (status(stack, name).get("images") or [{}])[0]


def wait_phase(stack, name, phase, seconds=60):
    return wait_until(lambda: image(stack, name) if status(stack, name).get("phase") == phase and
                      status(stack, name).get("observedGeneration") == sandbox(stack, name)["metadata"]["generation"] else None,
                      seconds, what=f"sandbox {name} {phase}; {status(stack, name)}")


def edit(stack, name, **spec):
    code, answer = stack.api("PATCH", f"sandboxes/{name}", {"spec": spec}, "application/merge-patch+json")
    assert code == 200, answer


def test_an_edited_sandbox_is_used_by_the_next_environment(stack, registry):
    stack.create("ada")
    stack.wait("ada", "Running")
    before = stack.inspect(stack.uid("ada"))
    reference = registry.push("next", [program(), noise(1000)])
    edit(stack, "plain", cpuImageName=reference)
    found = wait_phase(stack, "plain", "Ready")
    assert found["reference"] == reference and found["digest"].startswith("sha256:") and found["size"] > 1000
    assert "message" not in found and "progress" not in status(stack, "plain")
    stack.create("bob")
    stack.wait("bob", "Running")
    assert stack.inspect(stack.uid("bob"))["Image"].removeprefix("sha256:") == found["digest"].removeprefix("sha256:")
    wait_until(lambda: stack.condition("ada", "ImageUpToDate")["status"] == "False", 30, what="ada is told")
    assert stack.condition("ada", "ImageUpToDate")["reason"] == "NewerImage"
    assert stack.condition("bob", "ImageUpToDate")["status"] == "True"
    assert stack.status("ada")["phase"] == "Running" and stack.inside("ada", "/")[0] == 200
    after = stack.inspect(stack.uid("ada"))
    assert (after["Id"], after["State"]["Pid"], after["Image"]) == (before["Id"], before["State"]["Pid"], before["Image"])


def test_how_far_a_pull_is_is_seen(stack, registry):
    reference = registry.push("large", [program(), noise(24 << 20)])
    registry.gate.close_after(8 << 20)
    try:
        stack.sandbox("large", cpuImageName=reference)
        found = wait_until(lambda: image(stack, "large") if image(stack, "large").get("progress", {}).get("bytes") else None, 60, what="progress")
        assert found["phase"] == "Pulling"
        progress = found["progress"]
        assert 0 < progress["bytes"] < progress["totalBytes"] and progress["layers"] >= 2, progress
        assert "% of" in status(stack, "large")["progress"]
        stack.create("ada", "large")
        told = wait_until(lambda: stack.status("ada") if "% of" in stack.status("ada").get("message", "") else None, 30, what="ada is told")
        assert (told["phase"], told["reason"]) == ("Preparing", "ImagePulling")
        # Who waits for an image holds nobody else up.
        stack.create("bob")
        stack.wait("bob", "Running")
    finally:
        registry.gate.open.set()
    stack.wait("ada", "Running", 60)
    assert wait_phase(stack, "large", "Ready")["phase"] == "Ready"
    assert "progress" not in status(stack, "large")


def test_a_wrong_name_shows_what_the_registry_says(stack, registry):
    registry.push("there", [program()])
    stack.sandbox("wrong", cpuImageName=f"{registry.name}/there:nosuchtag")
    found = wait_phase(stack, "wrong", "Failed")
    assert found["reason"] == "ImagePullFailed" and "manifest unknown" in found["message"], found
    assert "manifest unknown" in status(stack, "wrong")["message"]
    stack.create("ada", "wrong")
    told = stack.wait("ada", "Failed", reason="ImagePullFailed")
    assert "manifest unknown" in told["message"] and "nosuchtag" in told["message"]
    edit(stack, "wrong", cpuImageName=f"{registry.name}/there:latest")
    wait_until(lambda: stack.status("ada").get("phase") == "Running", 60, what="mended")


def test_an_authority_that_is_not_trusted_is_said(stack, registry):
    reference = registry.push("untrusted", [program()])
    registry.distrust()
    try:
        stack.sandbox("untrusted", cpuImageName=reference)
        assert "certificate" in wait_phase(stack, "untrusted", "Failed")["message"]
    finally:
        registry.trust()


def test_a_registry_with_users(stack, closed_registry):
    reference = closed_registry.push("closed", [program()])
    stack.sandbox("closed", cpuImageName=reference)
    wait_phase(stack, "closed", "Failed")
    code, answer = stack.api("PATCH", "sandboxes/closed", {"spec": {"imagePullSecret": {"username": USER}}}, "application/merge-patch+json")
    assert code == 422 and "spec.imagePullSecret.password" in str(answer)
    edit(stack, "closed", imagePullSecret={"username": USER, "password": "wrong"})
    wait_until(lambda: status(stack, "closed").get("pullSecretSetAt"), 30, what="kept")
    before = status(stack, "closed")["pullSecretSetAt"]
    edit(stack, "closed", imagePullSecret={"username": USER, "password": PASSWORD})  # nothing else is new, and it is tried at once
    wait_phase(stack, "closed", "Ready")
    assert status(stack, "closed")["pullSecretSetAt"] != before
    assert PASSWORD not in str(sandbox(stack, "closed")) + stack.log("runner") + stack.log("server")
    assert ask(stack.runtime / "runner.sock", "GET", "/apis/open-hydra-server.openhydra.io/v1/sandboxes/closed/pullsecret")[1] == {
        "username": USER, "password": PASSWORD}
    assert stack.api("GET", "sandboxes/closed/pullsecret")[0] in (403, 404)
    edit(stack, "closed", imagePullSecret=None)
    assert "pullSecretSetAt" not in status(stack, "closed")
    assert ask(stack.runtime / "runner.sock", "GET", "/apis/open-hydra-server.openhydra.io/v1/sandboxes/closed/pullsecret")[0] == 404


def test_a_newer_image_of_the_same_name(stack, registry):
    stack.stop("runner")
    stack.start("runner", {"IMAGE_CHECK_SECONDS": "1"})
    reference = registry.push("course", [program()])
    stack.sandbox("course", cpuImageName=reference, imagePullPolicy="Always")
    first = wait_phase(stack, "course", "Ready")["digest"]
    stack.create("ada", "course")
    stack.wait("ada", "Running")
    registry.push("course", [program(), noise(100)])
    wait_until(lambda: image(stack, "course").get("digest") not in (None, first), 60, what="the newer one")
    wait_until(lambda: stack.condition("ada", "ImageUpToDate")["status"] == "False", 30, what="ada is told")


def test_a_runner_that_is_killed_while_it_pulls(stack, registry):
    reference = registry.push("killed", [program(), noise(24 << 20)])
    registry.gate.close_after(8 << 20)
    try:
        stack.sandbox("killed", cpuImageName=reference)
        stack.create("ada", "killed")
        wait_until(lambda: image(stack, "killed").get("progress", {}).get("bytes"), 60, what="half of it")
        stack.kill("runner")
        time.sleep(0.5)
        stack.start("runner")
        wait_until(lambda: status(stack, "killed").get("phase") in ("Pulling", "Pending"), 30, what="begun anew")
    finally:
        registry.gate.open.set()
    stack.wait("ada", "Running", 60)
    wait_phase(stack, "killed", "Ready")


def test_what_runs_goes_on_without_its_sandbox(stack):
    stack.create("ada")
    stack.wait("ada", "Running")
    assert stack.api("DELETE", "sandboxes/plain")[0] == 200
    stack.user("bob")
    code, answer = stack.api("POST", "devices", {"metadata": {"name": "bob"}, "spec": {"openHydraUsername": "bob", "sandboxName": "plain"}})
    assert code == 422 and "no sandbox" in str(answer)
    stack.stop("runner")
    stack.start("runner")
    assert stack.wait("ada", "Running") and stack.inside("ada", "/")[0] == 200
    stack.delete("ada")
    stack.wait_gone("ada")


# ---- the command --------------------------------------------------------------------------------------------------


def command(stack, *words):
    """As beside a `run`, whose socket of the runner's lies in a folder of its own."""
    (stack.runtime / "runner").mkdir(exist_ok=True)
    link = stack.runtime / "runner/runner.sock"
    if not link.is_symlink():
        link.symlink_to(stack.runtime / "runner.sock")
    return subprocess.run([BUILD / "src/open-hydra-server", "images", *words, "--data", stack.data, "--runtime", stack.runtime, "--config", stack.config,
                           "--engine-socket", stack.engine], capture_output=True, text=True, timeout=120)


def names(stack):
    out = command(stack, "list")
    assert out.returncode == 0, out.stderr
    return {line.split()[-1]: line.split() for line in out.stdout.splitlines()[1:]}


def test_the_command_pulls_lists_exports_and_imports(stack, registry, tmp_path):
    reference = registry.push("tool", [program(), noise(2000)])
    out = command(stack, "pull", reference)
    assert out.returncode == 0 and f"{reference}: pulled" in out.stdout, out.stderr
    assert names(stack)[reference][2:4] == ["no", "-"]
    wrong = command(stack, "pull", f"{registry.name}/tool:nosuch")
    assert wrong.returncode == 1 and "manifest unknown" in wrong.stderr
    archive = tmp_path / "tool.tar"
    out = command(stack, "export", reference, archive)
    assert out.returncode == 0 and archive.stat().st_size > 2000 and list(tmp_path.iterdir()) == [archive], out.stderr
    for name, tool in (("tool.tar", None), ("tool.tar.gz", "gzip"), ("tool.tar.xz", "xz")):
        if tool:
            (tmp_path / name).write_bytes(subprocess.run([tool, "-c", archive], stdout=subprocess.PIPE, check=True).stdout)
        assert ask(stack.engine, "DELETE", f"/v1.41/images/{reference}?force=true")[0] == 200
        out = command(stack, "import", tmp_path / name)
        assert out.returncode == 0 and f"imported {reference}" in out.stdout, (name, out.stdout, out.stderr)
        assert reference in names(stack)
    (tmp_path / "nonsense").write_bytes(b"x" * 5000)
    out = command(stack, "import", tmp_path / "nonsense")
    assert out.returncode == 1 and "nonsense: " in out.stderr
    assert command(stack, "import", tmp_path / "none").returncode == 1
    assert command(stack, "export", "localhost/none:such", tmp_path / "x").returncode == 1
    for words in ((), ("nothing",), ("pull",), ("list", "x"), ("list", "--dry-run")):
        assert command(stack, *words).returncode == 2


def oci_archive(name, layers):
    """As `skopeo copy` and `buildah push` write it: blobs by their digests, and an index that says where to begin."""
    files = {}

    def blob(data, kind, **more):
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data), **more}

    config = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/environment"], "User": "1000:1000"}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(one).hexdigest() for one in layers]}}).encode(), "config.v1+json")
    manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [
        blob(gzip.compress(one), "layer.v1.tar+gzip") for one in layers]}).encode(), "manifest.v1+json",
        annotations={"org.opencontainers.image.ref.name": name})
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    return tar(files)


@pytest.mark.parametrize("tool", [None, "gzip", "xz", "zstd"])
def test_an_oci_archive_is_imported_and_runs(stack, engine, tmp_path, tool):
    name = f"localhost/oci-{tool or 'plain'}:2026"
    file = tmp_path / "course.oci"
    file.write_bytes(oci_archive(name, [program(), noise(3000)]))
    if tool:
        file.write_bytes(subprocess.run([tool, "-c", file], stdout=subprocess.PIPE, check=True).stdout)
    try:
        out = command(stack, "import", file)
        assert out.returncode == 0 and f"imported {name}" in out.stdout, out.stdout + out.stderr
        if tool is None:
            stack.sandbox("course", cpuImageName=name)
            stack.create("ada", "course")
            stack.wait("ada", "Running")
            assert stack.inside("ada", "/")[0] == 200
            stack.delete("ada")
            stack.wait_gone("ada")
    finally:
        ask(engine, "DELETE", f"/v1.41/images/{name}?force=true")


def test_the_command_pulls_with_a_sandboxs_secret(stack, closed_registry, engine):
    stack.stop("runner")  # which would be faster
    reference = closed_registry.push("closed", [program()])
    refused = command(stack, "pull", reference)
    assert refused.returncode == 1 and f"{reference}: " in refused.stderr, refused.stderr
    stack.sandbox("closed", cpuImageName=reference, imagePullSecret={"username": USER, "password": PASSWORD})
    out = command(stack, "pull", reference)
    assert out.returncode == 0 and f"{reference}: pulled" in out.stdout and PASSWORD not in out.stdout + out.stderr, out.stderr
    assert ask(engine, "DELETE", f"/v1.41/images/{reference}?force=true")[0] == 200
    # Of another image of the same registry no sandbox says anything.
    assert command(stack, "pull", closed_registry.push("other", [program(), noise(10)])).returncode == 1
    stack.stop("server")
    out = command(stack, "pull", reference)
    assert out.returncode == 1 and "whether a sandbox has a secret for it is not known" in out.stderr
    stack.start("server")
    stack.start("runner")


def test_what_no_sandbox_names_any_more_is_pruned(stack, registry):
    used, old, others = (registry.push(f"prune-{name}", [program(), noise(500)]) for name in ("used", "old", "others"))
    assert command(stack, "pull", others).returncode == 0
    stack.sandbox("used", cpuImageName=used)
    stack.sandbox("course", cpuImageName=old)
    wait_phase(stack, "used", "Ready")
    wait_phase(stack, "course", "Ready")
    stack.create("ada", "course")
    stack.wait("ada", "Running")
    edit(stack, "course", cpuImageName=used)
    wait_phase(stack, "course", "Ready")
    assert names(stack)[used][3] == "course,used" and names(stack)[old][2:4] == ["yes", "-"]
    out = command(stack, "prune")
    assert out.returncode == 0 and f"{old}: kept, an environment uses it" in out.stdout, out.stdout + out.stderr
    stack.delete("ada")
    stack.wait_gone("ada")
    out = command(stack, "prune", "--dry-run")
    assert f"{old}: would be removed" in out.stdout and old in names(stack)
    out = command(stack, "prune")
    assert out.returncode == 0 and f"{old}: removed" in out.stdout, out.stdout + out.stderr
    left = names(stack)
    assert old not in left and used in left and others in left
    assert command(stack, "prune").stdout == ""
    stack.stop("server")
    out = command(stack, "prune")
    assert out.returncode == 1 and "which images sandboxes need is not known" in out.stderr
    stack.start("server")
