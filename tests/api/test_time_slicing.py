"""How many share a GPU, said by kubectl as on a cluster with NVIDIA's operator: which ConfigMap counts, and what is refused."""
import json

import pytest

from support.answers import is_status
from support.instance import Instance, wait_until

MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
MAPS, POLICY = "/api/v1/namespaces/gpu-operator/configmaps", "/apis/nvidia.com/v1/clusterpolicies/cluster-policy"


def text(replicas, resource="nvidia.com/gpu"):
    return f"version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - name: {resource}\n      replicas: {replicas}\n"


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "gpu-operator"}, "data": data}


@pytest.fixture(scope="module")
def school():
    with Instance() as instance:
        wait_until(lambda: instance.admin().get("hosts").json()["items"], what="the host")
        yield instance


@pytest.fixture
def admin(school):
    admin = school.admin()
    yield admin
    for one in admin.get(MAPS).json()["items"]:
        assert admin.delete(f"{MAPS}/{one['metadata']['name']}").status_code == 200
    assert admin.patch(POLICY, data='{"spec": null}', headers=MERGE).status_code in (200, 422)
    assert admin.put(POLICY, json={"metadata": {"name": "cluster-policy"}, "spec": {}}).status_code == 200


def shared(admin):
    return [one["spec"].get("gpuTimeSlicing") for one in admin.get("hosts").json()["items"]][0]


def choose(admin, **config):
    answer = admin.patch(POLICY, data=json.dumps({"spec": {"devicePlugin": {"config": config}}}), headers=MERGE)
    assert answer.status_code == 200, answer.text
    return answer


def test_the_one_that_the_policy_names_counts(admin):
    assert admin.post(MAPS, json=config_map("first", any=text(4))).status_code == 201
    assert shared(admin) is None, "nothing names it"
    choose(admin, name="first", default="any")
    assert shared(admin) == {"any": text(4)}
    # Edited, it counts at once; another one does not.
    assert admin.patch(f"{MAPS}/first", data=json.dumps({"data": {"any": text(2), "a100-40gb": text(7)}}), headers=STRATEGIC).status_code == 200
    assert shared(admin) == {"any": text(2), "a100-40gb": text(7)}
    assert admin.post(MAPS, json=config_map("second", any=text(3), small=text(9))).status_code == 201
    assert shared(admin)["any"] == text(2)
    choose(admin, name="second", default="small")
    assert shared(admin) == {"any": text(9)}
    choose(admin, name="second", default=None)
    assert shared(admin) == {"any": text(3), "small": text(9)}
    assert admin.delete(f"{MAPS}/second").status_code == 200
    assert shared(admin) is None


def test_what_names_nothing_is_said(admin):
    assert "no ConfigMap missing" in choose(admin, name="missing").headers["Warning"]
    assert admin.post(MAPS, json=config_map("missing", any=text(5))).status_code == 201
    assert shared(admin) == {"any": text(5)}
    assert "has no other" in choose(admin, default="other").headers["Warning"]
    assert shared(admin) is None
    answer = admin.post("/apis/nvidia.com/v1/clusterpolicies", json={"metadata": {"name": "mine"}, "spec": {}})
    assert answer.status_code == 201 and "only the ClusterPolicy cluster-policy counts" in answer.headers["Warning"]
    assert admin.delete("/apis/nvidia.com/v1/clusterpolicies/mine").status_code == 200


def test_a_dry_run_changes_nothing(admin):
    assert admin.post(MAPS, json=config_map("first", any=text(4))).status_code == 201
    choose(admin, name="first")
    assert admin.patch(f"{MAPS}/first?dryRun=All", data=json.dumps({"data": {"any": text(8)}}), headers=MERGE).status_code == 200
    assert admin.delete(f"{MAPS}/first?dryRun=All").status_code == 200
    assert shared(admin) == {"any": text(4)}


@pytest.mark.parametrize("data, said", [
    ({"any": text(0)}, "sharing.timeSlicing.resources[0].replicas"), ({"any": text(257)}, "replicas"), ({"any": "version: v2\n"}, "version"),
    ({"any": "- a"}, "data[any]"), ({"any": "a: [b"}, "data[any]"), ({}, "data"), ({"any": "version: v1\nsharing: {mps: {}}\n"}, "sharing.mps"),
])
def test_wrong_ones_are_refused(admin, data, said):
    answer = admin.post(MAPS, json=config_map("wrong", **data))
    is_status(answer, 422, "Invalid")
    assert said in answer.json()["message"] and answer.json()["message"].startswith('ConfigMap "wrong" is invalid: data')


def test_one_namespace(admin):
    assert admin.post(MAPS, json=config_map("first", any=text(4))).json()["metadata"]["namespace"] == "gpu-operator"
    assert [one["metadata"]["name"] for one in admin.get("/api/v1/configmaps").json()["items"]] == ["first"]
    assert admin.get("/api/v1/namespaces/other/configmaps").json()["message"] == 'namespaces "other" not found'
    is_status(admin.post("/api/v1/namespaces/other/configmaps", json=config_map("first", any=text(4))), 404, "NotFound")
    is_status(admin.get("/api/v1/configmaps/first"), 404, "NotFound")
    is_status(admin.post("/api/v1/configmaps", json=config_map("second", any=text(4))), 404, "NotFound")
    is_status(admin.get("/apis/nvidia.com/v1/namespaces/gpu-operator/clusterpolicies"), 404, "NotFound")
    is_status(admin.get("/apis/configmaps/v1/configmaps"), 404, "NotFound")
    assert admin.get(f"{MAPS}/other").json()["message"] == 'configmaps "other" not found'
    other = config_map("second", any=text(4))
    other["metadata"]["namespace"] = "other"
    answer = admin.post(MAPS, json=other)
    is_status(answer, 422, "Invalid")
    assert "metadata.namespace" in answer.json()["message"]
    is_status(admin.post("sandboxes", json={"metadata": {"name": "x", "namespace": "gpu-operator"}, "spec": {"cpuImageName": "x"}}), 422, "Invalid")


def test_lists_in_strategic_patches_are_refused(admin):
    assert admin.post(MAPS, json=config_map("first", any=text(4))).status_code == 201
    for patch in ({"metadata": {"finalizers": []}}, {"data": {"$retainKeys": "any"}}, {"$patch": "delete"}):
        answer = admin.patch(f"{MAPS}/first", data=json.dumps(patch), headers=STRATEGIC)
        is_status(answer, 400, "BadRequest")
    # What has no rules of Kubernetes' own is never merged by them.
    answer = admin.patch("sandboxes/jupyter-lab", data="{}", headers=STRATEGIC)
    is_status(answer, 415, "UnsupportedMediaType")
    assert "strategic" not in answer.headers["Accept-Patch"]


def test_pods_are_not_run(admin, school):
    assert admin.get("/api/v1/namespaces/gpu-operator/pods").json()["items"] == []
    pod = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    answer = admin.post("/api/v1/namespaces/gpu-operator/pods", json=pod)
    is_status(answer, 403, "Forbidden")
    assert "an environment is a Device" in answer.json()["message"]


def test_administrators_alone(school):
    school.create_user("anna")
    anna = school.login("anna", "password")
    for path in (MAPS, POLICY, "/apis/nvidia.com/v1/clusterpolicies", "/api/v1/namespaces/gpu-operator/pods"):
        assert anna.get(path).status_code == 403, path
    assert anna.post(MAPS, json=config_map("a", any=text(4))).status_code == 403


def test_kubectl_knows_them(school):
    out = school.kubectl("api-resources", "--no-headers").stdout
    rows = {line.split()[0]: line.split()[-3:] for line in out.splitlines()}
    assert rows["configmaps"] == ["v1", "true", "ConfigMap"] and rows["pods"] == ["v1", "true", "Pod"]
    assert rows["clusterpolicies"] == ["nvidia.com/v1", "false", "ClusterPolicy"]
    assert "device plugin" in school.kubectl("explain", "configmap.data").stdout
    assert "namespace gpu-operator" in school.kubectl("explain", "clusterpolicy.spec.devicePlugin.config.name").stdout
    assert "No resources found in gpu-operator namespace." in school.kubectl("get", "pods", "-n", "gpu-operator").stderr
