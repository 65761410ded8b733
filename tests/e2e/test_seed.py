"""The seed's README, its commands as they stand there, with every kubectl."""
import pathlib
import re
import subprocess

import pytest

from support.instance import ROOT, Instance, kubectls, wait_until

pytestmark = pytest.mark.root
FOUND = kubectls()

USER = """\
cat <<EOF > user1.yaml
apiVersion: open-hydra-server.openhydra.io/v1
kind: OpenHydraUser
metadata:
  name: user1
spec:
  password: password
  role: 2
EOF
kubectl create -f user1.yaml
"""
DEVICE = """\
cat <<EOF > user1-device.yaml
apiVersion: open-hydra-server.openhydra.io/v1
kind: Device
metadata:
  name: user1
spec:
  openHydraUsername: user1
EOF
kubectl create -f user1-device.yaml
"""
VSCODE = """\
cat <<EOF > user1-device-vscode.yaml
apiVersion: open-hydra-server.openhydra.io/v1
kind: Device
metadata:
  name: user1
spec:
  ideType: vscode
  openHydraUsername: user1
EOF
kubectl create -f user1-device-vscode.yaml
"""
COLUMNS = "kubectl get devices user1 -o custom-columns=User:.spec.openHydraUsername,LabUrl:.spec.jupyterLabUrl,Status:.spec.deviceStatus"


SLICING = """\
kubectl apply -f deploy/time-slicing-gpu.yaml
kubectl patch clusterpolicy/cluster-policy     -n gpu-operator --type merge     -p '{"spec": {"devicePlugin": {"config": {"name": "time-slicing-config-all", "default": "any"}}}}'
"""


@pytest.fixture(scope="module")
def seed():
    """A system as the seed's reader has it: just installed."""
    with Instance() as instance:
        yield instance


@pytest.fixture(params=sorted(FOUND) or [pytest.param(None, marks=pytest.mark.skip(reason="no kubectl on this machine"))])
def shell(request, seed, tmp_path):
    """A shell in which `kubectl` is that version, and `deploy/` is there."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/kubectl").symlink_to(FOUND[request.param])
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")

    def run(script, code=0):
        out = subprocess.run(["bash", "-e"], input=script, capture_output=True, text=True, cwd=tmp_path, timeout=120,
                             env=seed.kubectl_environment(PATH=f"{tmp_path}/bin:/usr/bin:/bin"))
        assert out.returncode == code, f"{script}: {out.returncode}\n{out.stdout}{out.stderr}\n{seed.output()[-3000:]}"
        return out.stdout if code == 0 else out.stderr
    yield run
    for what in ("device user1", "ohu user1"):
        run(f"kubectl delete {what} --ignore-not-found")


def test_administrator(shell, seed):
    if seed.admin().get("openhydrausers/admin").status_code == 404:
        assert "openhydrauser.open-hydra-server.openhydra.io/admin created" in shell("kubectl create -f deploy/user-admin.yaml")
    else:
        assert "AlreadyExists" in shell("kubectl create -f deploy/user-admin.yaml", code=1)
    head, *rows = shell("kubectl get openhydrausers").splitlines()
    assert head.split()[0] == "NAME" and head.split()[-1] == "AGE"
    assert any(re.match(r"admin .* \d+[smh]", row) for row in rows)
    assert "password" not in shell("kubectl get openhydrausers -o yaml")
    seed.login("admin", "openhydra")


def test_user_and_lab(shell, seed):
    """«创建一个普通用户 user1», «为 user1 创建一个 jupyter lab 环境», «为 user1 关闭设备»."""
    assert "openhydrauser.open-hydra-server.openhydra.io/user1 created" in shell(USER)
    head, row = shell("kubectl get openhydrausers user1").splitlines()
    assert head.split()[0] == "NAME" and re.match(r"user1 .* \d+s", row)

    assert "device.open-hydra-server.openhydra.io/user1 created" in shell(DEVICE)
    wait_until(lambda: "Running" in shell(COLUMNS), 120, every=0.5, what="Running")
    head, row = shell(COLUMNS).splitlines()
    assert head.split() == ["User", "LabUrl", "Status"]
    user, url, status = row.split()
    assert user == "user1" and status == "Running" and re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    # And what it names is a Jupyter Lab, for whoever has logged in.
    session, base = seed.environment(seed.login("user1", "password"), "user1")
    assert base == url and session.get(f"{url}/api/status").json()["kernels"] == 0

    assert 'device.open-hydra-server.openhydra.io "user1" deleted' in shell("kubectl delete -f user1-device.yaml")
    assert "NotFound" in shell(COLUMNS, code=1)
    assert (seed.data / "workspace/jupyter-lab/user1").is_dir(), "the files stay"


def test_vscode(shell, seed):
    shell(USER)
    shell(VSCODE)
    columns = COLUMNS.replace("jupyterLabUrl", "vsCodeUrl")
    wait_until(lambda: "Running" in shell(columns), 120, every=0.5, what="Running")
    user, url, status = shell(columns).splitlines()[1].split()
    assert user == "user1" and status == "Running" and re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert "<none>" in shell(COLUMNS)
    # And what it names is a VS Code on the own files, for whoever has logged in.
    session, base = seed.environment(seed.login("user1", "password"), "user1")
    assert base == url and "workbench.js" in session.get(f"{url}/").text
    assert "deleted" in shell("kubectl delete -f user1-device-vscode.yaml")
    assert (seed.data / "workspace/vscode/user1").is_dir(), "the files stay"


def test_without_waiting_it_shows_what_the_seed_shows(shell, seed):
    shell(USER)
    shell(DEVICE)
    wait_until(lambda: "Running" in shell(COLUMNS), 120, every=0.5, what="Running")
    # Held for the moment of this test, so that it is to be seen whatever the machine's speed.
    shell("""kubectl patch device user1 --type=merge -p '{"metadata":{"finalizers":["open-hydra-server.openhydra.io/environment","test.example.io/hold"]}}'""")
    shell("kubectl delete -f user1-device.yaml --wait=false")
    head, row = shell(COLUMNS).splitlines()
    assert row.split() == ["user1", "<none>", "Terminating"]
    wait_until(lambda: "environment" not in shell("kubectl get device user1 -o jsonpath={.metadata.finalizers}"), 60, what="container gone")
    shell("""kubectl patch device user1 --type=merge -p '{"metadata":{"finalizers":null}}'""")
    seed.wait_gone("user1")
    shell("kubectl create -f user1-device.yaml")  # create → delete → create


def test_the_same_by_apply(shell, seed):
    shell(USER.replace("create", "apply"))
    shell(DEVICE.replace("create", "apply"))
    assert re.search("unchanged|configured", shell("kubectl apply -f user1-device.yaml"))
    assert shell("kubectl diff -f user1-device.yaml") == ""
    assert "deleted" in shell("kubectl delete -f user1-device.yaml")


def test_files_of_the_tree(seed):
    """deploy/ holds what the README names, and the README's commands are these."""
    text = (ROOT / "README.md").read_text()
    assert (ROOT / "deploy/user-admin.yaml").is_file() and COLUMNS in text and "kubectl delete -f user1-device.yaml" in text
    assert pathlib.Path(seed.kubeconfig).is_file()


def test_time_slicing(shell, seed):
    """«开启 nvidia-gpu 基于时间片的共享»; and what one does next: other replicas, and back."""
    def shared():
        return seed.admin().get("hosts").json()["items"][0]["spec"].get("gpuTimeSlicing", {}).get("any", "")

    wait_until(lambda: seed.admin().get("hosts").json()["items"], what="the host")
    out = shell(SLICING)
    assert "configmap/time-slicing-config-all created" in out and "clusterpolicy.nvidia.com/cluster-policy patched" in out
    assert "replicas: 4" in shared()
    # It goes on until Ctrl-C.
    assert shell("timeout -s INT 3 kubectl get pod -n gpu-operator -w || true") == ""
    assert "unchanged" in shell("kubectl apply -f deploy/time-slicing-gpu.yaml")
    assert "configured" in shell("sed 's/replicas: 4/replicas: 2/' deploy/time-slicing-gpu.yaml | kubectl apply -f -")
    assert "replicas: 2" in shared()
    assert "replicas: 2" in shell("kubectl get configmap time-slicing-config-all -n gpu-operator -o yaml")
    assert "time-slicing-config-all" in shell("kubectl describe cm time-slicing-config-all -n gpu-operator --show-events=false")
    assert "deleted" in shell("kubectl delete -f deploy/time-slicing-gpu.yaml")
    assert shared() == ""
    shell("""kubectl patch clusterpolicy/cluster-policy --type merge -p '{"spec": {"devicePlugin": null}}'""")
