"""Every kubectl there is, with the commands of the seed and those that people try next."""
import re
import subprocess
import threading

import pytest

from support.answers import fresh_name
from support.instance import kubectls, wait_until

FOUND = kubectls()
ALL = sorted(FOUND, key=lambda version: [int(n) for n in version.split(".")])
# The commands of the seed are tried with every version, the rest with the oldest, the newest and one between.
NONE = [pytest.param(None, marks=pytest.mark.skip(reason="no kubectl on this machine"))]
few = pytest.mark.parametrize("kubectl", sorted({*ALL[:1], *ALL[len(ALL) // 2:len(ALL) // 2 + 1], *ALL[-1:]}) or NONE, indirect=True)
GROUP_VERSION = "open-hydra-server.openhydra.io/v1"


@pytest.fixture(params=ALL or NONE)
def kubectl(request, hydra, tmp_path):
    def run(*args, input=None, code=0, **env):
        out = hydra.kubectl(*args, input=input, check=False, program=FOUND[request.param], cwd=tmp_path, **env)
        assert out.returncode == code, f"kubectl {request.param} {' '.join(args)}: {out.returncode}\n{out.stdout}{out.stderr}"
        return out
    run.program, run.folder, run.version = FOUND[request.param], tmp_path, tuple(map(int, request.param.split(".")))
    return run


def user_yaml(name, **spec):
    lines = "".join(f"  {k}: {v}\n" for k, v in {"password": "password", "role": 2, **spec}.items())
    return f"apiVersion: {GROUP_VERSION}\nkind: OpenHydraUser\nmetadata:\n  name: {name}\nspec:\n{lines}"


def device_yaml(name, **spec):
    lines = "".join(f"  {k}: {v}\n" for k, v in {"openHydraUsername": name, **spec}.items())
    return f"apiVersion: {GROUP_VERSION}\nkind: Device\nmetadata:\n  name: {name}\nspec:\n{lines}"


@pytest.fixture
def name(kubectl):
    name = fresh_name("k")
    kubectl("create", "-f", "-", input=user_yaml(name))
    return name


@few
def test_names_of_resources(kubectl, name, device):
    """All the words under which the original's users know them."""
    for word in ("openhydrausers", "openhydrauser", "ohu", "xuser", f"openhydrausers.{GROUP_VERSION.split('/')[0]}"):
        assert name in kubectl("get", word).stdout
        assert name in kubectl("get", word, name).stdout
    for word in ("devices", "device", "dev"):
        assert device["metadata"]["name"] in kubectl("get", word).stdout
    for word in ("sandboxes", "sandbox", "sbx"):
        assert "jupyter-lab" in kubectl("get", word).stdout
    assert "jupyter-lab" in kubectl("get", "open-hydra").stdout, "the category"
    resources = kubectl("api-resources", "--api-group", GROUP_VERSION.split("/")[0]).stdout
    assert re.search(r"devices +dev ", resources) and re.search(r"sandboxes +sbx", resources)


@few
def test_version(kubectl):
    assert "Server Version" in kubectl("version").stdout


@few
def test_columns(kubectl, name, device):
    head, row = kubectl("get", "ohu", name).stdout.splitlines()
    assert head.split() == ["NAME", "DISPLAY", "NAME", "ROLE", "AGE"] and re.search(r"2 +\d+s$", row)
    head = kubectl("get", "devices").stdout.splitlines()[0].split()
    assert head == ["NAME", "USER", "SANDBOX", "STATUS", "REASON", "URL", "AGE"]
    assert "MESSAGE" in kubectl("get", "devices", "-o", "wide").stdout
    text = kubectl("get", "devices", device["metadata"]["name"], "-o",
                   "custom-columns=User:.spec.openHydraUsername,LabUrl:.spec.jupyterLabUrl,Status:.spec.deviceStatus").stdout
    assert text.splitlines()[0].split() == ["User", "LabUrl", "Status"]
    assert device["spec"]["jupyterLabUrl"] in text
    assert kubectl("get", "device", device["metadata"]["name"], "-o", "jsonpath={.status.port}").stdout == str(device["status"]["port"])
    assert "password" not in kubectl("get", "ohu", name, "-o", "yaml").stdout.replace("name: password", "")
    assert "NotFound" in kubectl("get", "ohu", "nobody-here", code=1).stderr


def test_create(kubectl, name):
    out = kubectl("create", "-f", "-", input=user_yaml(name), code=1)
    assert "AlreadyExists" in out.stderr
    other = fresh_name()
    out = kubectl("create", "-f", "-", "--dry-run=server", input=user_yaml(other))
    assert "created (server dry run)" in out.stdout
    assert "NotFound" in kubectl("get", "ohu", other, code=1).stderr
    out = kubectl("create", "-f", "-", input=user_yaml(other, nonsense="1"), code=1)
    assert "nonsense" in out.stderr
    out = kubectl("create", "-f", "-", input=user_yaml("Upper"), code=1)
    assert "RFC 1123 label" in out.stderr and "metadata.name" in out.stderr
    kubectl("create", "-f", "-", "--validate=false", input=user_yaml(other, nonsense="1"))


def test_apply_twice_and_diff(kubectl, hydra):
    name = fresh_name()
    text = user_yaml(name, description="one")
    assert "created" in kubectl("apply", "-f", "-", input=text).stdout
    session = hydra.login(name, "password")
    for _ in range(2):
        out = kubectl("apply", "-f", "-", input=text)
        assert "unchanged" in out.stdout or "configured" in out.stdout
    assert session.get("/auth/session").json()["authenticated"], "the same password ends no session"
    annotation = kubectl("get", "ohu", name, "-o", "yaml").stdout
    assert "last-applied-configuration" in annotation and "password" not in annotation
    out = kubectl("apply", "-f", "-", input=text.replace("one", "two"))
    assert "configured" in out.stdout
    assert kubectl("get", "ohu", name, "-o", "jsonpath={.spec.description}").stdout == "two"
    out = kubectl("diff", "-f", "-", input=text.replace("one", "three"), code=1)
    assert re.search(r"^\+  description: three$", out.stdout, re.M) and "password: password" not in out.stdout
    out = kubectl("diff", "-f", "-", input=text.replace("one", "two").replace("  password: password\n", ""))
    assert out.stdout == ""
    # What was applied and is left out goes, the password excepted.
    kubectl("apply", "-f", "-", input=text.replace("  description: one\n", "").replace("  password: password\n", ""))
    assert kubectl("get", "ohu", name, "-o", "jsonpath={.spec.description}").stdout == ""
    hydra.login(name, "password")


def test_edit(kubectl, name):
    kubectl("label", "ohu", name, "colour=red")
    out = kubectl("edit", "ohu", name, EDITOR="sed -i s/red/green/")
    assert "edited" in out.stdout
    assert kubectl("get", "ohu", "-l", "colour=green", "-o", "name").stdout.strip().endswith(f"/{name}")
    out = kubectl("edit", "ohu", name, EDITOR="true")
    assert "no changes made" in (out.stdout + out.stderr).lower()


@few
def test_patch_label_annotate_replace(kubectl, name):
    assert "patched" in kubectl("patch", "ohu", name, "--type=merge", "-p", '{"spec":{"email":"a@b"}}').stdout
    assert "labeled" in kubectl("label", "ohu", name, "class=7b").stdout
    assert "annotate" in kubectl("annotate", "ohu", name, "note=yes").stdout
    assert "labeled" in kubectl("label", "ohu", name, "class-").stdout
    text = kubectl("get", "ohu", name, "-o", "yaml").stdout
    assert "replaced" in kubectl("replace", "-f", "-", input=text.replace("a@b", "c@d")).stdout
    assert kubectl("get", "ohu", name, "-o", "jsonpath={.spec.email}").stdout == "c@d"
    assert "Conflict" in kubectl("replace", "-f", "-", input=text, code=1).stderr
    kubectl("patch", "ohu", name, "--type=json", "-p", "[]", code=1)


def test_explain(kubectl):
    text = " ".join(kubectl("explain", "device.spec").stdout.split())
    assert "openHydraUsername" in text and "There is at most one for each user" in text
    assert "deviceCpu" in kubectl("explain", "devices.spec.deviceCpu").stdout
    assert "VERSION" in kubectl("explain", "device").stdout
    assert "write" not in kubectl("explain", "openhydrauser.spec.password").stderr
    assert "Display name" in kubectl("explain", "openhydrauser.spec", "--recursive=false").stdout
    kubectl("explain", "sandbox.spec.nonsense", code=1)


@few
def test_describe(kubectl, name):
    text = kubectl("describe", "ohu", name).stdout
    assert name in text and "password" not in text.lower().replace(name, "")


def test_watch_sees_events(kubectl, hydra, name, imageless):
    lines = []
    command = [kubectl.program, "get", "devices", "-w", "--output-watch-events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=hydra.kubectl_environment(), cwd=kubectl.folder) as watching:
        threading.Thread(target=lambda: lines.extend(iter(watching.stdout.readline, "")), daemon=True).start()
        try:
            kubectl("create", "-f", "-", input=device_yaml(name, sandboxName=imageless))
            see = lambda kind, word="": any(re.match(rf"{kind} .*\b{name}\b.*{word}", line) for line in list(lines))
            wait_until(lambda: see("ADDED"), what="ADDED")
            # Where kubectl is slow to begin, it has failed already when it is seen first.
            wait_until(lambda: see("(ADDED|MODIFIED)", "Failed"), 60, what="Failed")
            kubectl("label", "device", name, "seen=yes")
            wait_until(lambda: see("MODIFIED"), what="MODIFIED")
            kubectl("delete", "device", name)
            wait_until(lambda: see("DELETED"), what="DELETED")
        finally:
            watching.kill()


def test_delete_waits(kubectl, hydra, name, imageless):
    text = device_yaml(name, sandboxName=imageless)
    kubectl("create", "-f", "-", input=text)
    assert "deleted" in kubectl("delete", "-f", "-", input=text).stdout
    assert "NotFound" in kubectl("get", "devices", name, code=1).stderr
    kubectl("create", "-f", "-", input=text)  # and again
    assert "deleted" in kubectl("delete", "-f", "-", "--wait=true", input=text).stdout
    assert "NotFound" in kubectl("delete", "device", name, code=1).stderr
    kubectl("delete", "device", name, "--ignore-not-found")


def test_delete_without_waiting(kubectl, hydra, name, imageless):
    kubectl("create", "-f", "-", input=device_yaml(name, sandboxName=imageless))
    # Held, so that there is something to be seen.
    kubectl("patch", "device", name, "--type=merge", "-p",
            '{"metadata":{"finalizers":["open-hydra-server.openhydra.io/environment","test.example.io/hold"]}}')
    kubectl("delete", "device", name, "--wait=false")
    text = kubectl("get", "devices", name, "-o",
                   "custom-columns=User:.spec.openHydraUsername,LabUrl:.spec.jupyterLabUrl,Status:.spec.deviceStatus").stdout
    assert text.splitlines()[1].split() == [name, "<none>", "Terminating"]
    assert "being deleted" in kubectl("create", "-f", "-", input=device_yaml(name), code=1).stderr
    kubectl("patch", "device", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    hydra.wait_gone(name)
    assert "deleted" in kubectl("delete", "ohu", name).stdout


@few
def test_wait(kubectl, name, imageless):
    kubectl("create", "-f", "-", input=device_yaml(name, sandboxName=imageless))
    if kubectl.version < (1, 23):
        kubectl("delete", "device", name, "--wait=false")
        pytest.skip("this kubectl waits for conditions only, and not for what is gone already")
    kubectl("wait", f"device/{name}", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s")
    kubectl("delete", "device", name)
    kubectl("wait", f"device/{name}", "--for=delete", "--timeout=60s")


@few
def test_delete_of_many(kubectl):
    names = [fresh_name() for _ in range(3)]
    kubectl("create", "-f", "-", input="---\n".join(user_yaml(n) for n in names))
    kubectl("label", "ohu", *names, "go=away")
    out = kubectl("delete", "ohu", "-l", "go=away")
    assert all(n in out.stdout for n in names)
    assert "No resources found" in kubectl("get", "ohu", "-l", "go=away").stderr


@few
def test_raw_and_status(kubectl, device):
    assert '"Device"' in kubectl("get", "--raw", f"/apis/{GROUP_VERSION}/devices/{device['metadata']['name']}").stdout
    if kubectl.version < (1, 24):
        pytest.skip("this kubectl has no --subresource")
    assert "patched" in kubectl("patch", "sandbox", "jupyter-lab", "--subresource=status", "--type=merge", "-p", '{"status":{"a":"b"}}').stdout
