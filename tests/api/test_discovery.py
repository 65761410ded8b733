"""What clients read before they ask for objects."""
import pytest

from support.answers import is_status
from support.instance import GROUP

GROUP_NAME = "open-hydra-server.openhydra.io"
RESOURCES = {
    "openhydrausers": ("OpenHydraUser", "openhydrauser", {"ohu", "xuser"}),
    "devices": ("Device", "device", {"dev"}),
    "sandboxes": ("Sandbox", "sandbox", {"sbx"}),
    "datasets": ("Dataset", "dataset", {"xds"}),
    "courses": ("Course", "course", {"xco"}),
}


def test_legacy_resource_list(admin):
    body = admin.get(GROUP).json()
    assert body["kind"] == "APIResourceList" and body["groupVersion"] == f"{GROUP_NAME}/v1"
    found = {r["name"]: r for r in body["resources"]}
    for plural, (kind, singular, short) in RESOURCES.items():
        r = found[plural]
        assert (r["kind"], r["singularName"], r["namespaced"]) == (kind, singular, False)
        assert set(r["shortNames"]) == short
        assert set(r["verbs"]) >= {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
        assert set(found[f"{plural}/status"]["verbs"]) >= {"get", "patch", "update"}
    assert "create" in found["devices/ticket"]["verbs"] and found["devices/ticket"]["kind"] == "DeviceTicket"
    assert "get" in found["devices/log"]["verbs"]
    # The runner's private subresource is nobody else's business.
    assert "devices/endpoint" not in found


def test_groups(admin):
    groups = admin.get("/apis").json()
    assert groups["kind"] == "APIGroupList"
    group = next(g for g in groups["groups"] if g["name"] == GROUP_NAME)
    assert group["preferredVersion"]["groupVersion"] == f"{GROUP_NAME}/v1"
    one = admin.get(f"/apis/{GROUP_NAME}").json()
    assert one["kind"] == "APIGroup" and one["versions"] == group["versions"]


def test_core_group_is_small(admin):
    """What the seed's commands for time slicing use of it (test_time_slicing.py)."""
    body = admin.get("/api").json()
    assert body["kind"] == "APIVersions" and body["versions"] == ["v1"]
    found = {one["name"]: one for one in admin.get("/api/v1").json()["resources"]}
    assert sorted(found) == ["configmaps", "pods"] and all(one["namespaced"] for one in found.values())
    assert admin.get("/api/v1").json()["groupVersion"] == "v1" and admin.get("/apis/").status_code == 200
    assert "" not in [group["name"] for group in admin.get("/apis").json()["groups"]]
    assert "api/v1" in admin.get("/openapi/v3").json()["paths"]


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_aggregated_discovery(admin, version):
    accept = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    answer = admin.get("/apis", headers={"Accept": accept + ",application/json"})
    assert answer.status_code == 200
    if version == "v2beta1" and answer.json()["kind"] == "APIGroupList":
        return  # the older one need not be offered: clients take the plain list then
    assert "APIGroupDiscoveryList" in answer.headers["Content-Type"], answer.headers
    body = answer.json()
    assert body["kind"] == "APIGroupDiscoveryList" and body["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    group = next(g for g in body["items"] if g["metadata"]["name"] == GROUP_NAME)
    found = {r["resource"]: r for r in group["versions"][0]["resources"]}
    for plural, (kind, singular, short) in RESOURCES.items():
        r = found[plural]
        assert r["responseKind"]["kind"] == kind and r["singularResource"] == singular
        assert r["scope"] == "Cluster" and set(r["shortNames"]) == short
        assert any(s["subresource"] == "status" for s in r["subresources"])


def test_openapi_v3(admin):
    index = admin.get("/openapi/v3").json()
    entry = index["paths"][f"apis/{GROUP_NAME}/v1"]
    document = admin.get(entry["serverRelativeURL"]).json()
    assert document["openapi"].startswith("3.")
    for plural, (kind, _, _) in RESOURCES.items():
        many, one = document["paths"][f"{GROUP}/{plural}"], document["paths"][f"{GROUP}/{plural}/{{name}}"]
        assert many["post"]["x-kubernetes-group-version-kind"] == {"group": GROUP_NAME, "version": "v1", "kind": kind}
        for operation in (many["post"], one["put"], one["patch"]):
            names = {p["name"] for p in operation["parameters"]}
            assert {"dryRun", "fieldValidation"} <= names, operation
        assert {"get", "put", "patch", "delete"} <= set(one) and {"get", "post", "delete"} <= set(many)
        assert f"{GROUP}/{plural}/{{name}}/status" in document["paths"]
    schemas = document["components"]["schemas"]
    device = next(s for s in schemas.values() if any(g["kind"] == "Device" for g in s.get("x-kubernetes-group-version-kind", [])))
    spec = device["properties"]["spec"]
    assert "openHydraUsername" in spec["properties"] and spec["required"] == ["openHydraUsername"]


def test_openapi_v3_may_be_kept(admin):
    url = admin.get("/openapi/v3").json()["paths"][f"apis/{GROUP_NAME}/v1"]["serverRelativeURL"]
    assert "hash=" in url
    answer = admin.get(url)
    etag = answer.headers.get("ETag")
    if etag:
        assert admin.get(url, headers={"If-None-Match": etag}).status_code == 304


def test_openapi_v2(admin):
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    answer = admin.get("/openapi/v2", headers={"Accept": accept})
    assert answer.status_code == 200 and answer.content
    assert answer.headers["Content-Type"].startswith("application/com.github.proto-openapi.spec.v2.v1.0+protobuf")


def test_version_health_metrics(admin):
    version = admin.get("/version").json()
    assert {"major", "minor", "gitVersion"} <= set(version)
    for path in ("/healthz", "/livez", "/readyz"):
        answer = admin.get(path)
        assert answer.status_code == 200 and answer.text.startswith("ok"), (path, answer.text)
    metrics = admin.get("/metrics")
    assert metrics.status_code == 200 and metrics.headers["Content-Type"].startswith("text/plain")
    assert "# TYPE" in metrics.text


def test_who_is_nobody_may_ask_for_health_alone(hydra):
    from support.instance import Client
    nobody = Client(hydra, certificate=False)
    for path in ("/healthz", "/livez", "/readyz"):
        assert nobody.get(path).status_code == 200
    for path in ("/apis", GROUP, "/openapi/v3", "/metrics", f"{GROUP}/sandboxes"):
        is_status(nobody.get(path), 401, "Unauthorized")


def test_unknown_paths(admin):
    is_status(admin.get(f"{GROUP}/nonsense"), 404, "NotFound")
    is_status(admin.get(f"/apis/{GROUP_NAME}/v2/devices"), 404, "NotFound")
    is_status(admin.get("/apis/example.io"), 404, "NotFound")
    is_status(admin.get(f"{GROUP}/devices/a/nonsense"), 404, "NotFound")
    is_status(admin.get(f"{GROUP}/devices/a/status/b"), 404, "NotFound")
    is_status(admin.get("/something/else"), 404, "NotFound")


@pytest.mark.parametrize("method,path", [("PUT", "sandboxes"), ("PATCH", "sandboxes"), ("POST", "sandboxes/x"),
                                         ("DELETE", "sandboxes/x/status"), ("POST", "sandboxes/x/status"),
                                         ("PUT", "devices/x/log"), ("GET", "devices/x/ticket")])
def test_methods_that_are_not_there(admin, method, path):
    answer = admin.request(method, path)
    is_status(answer, 405, "MethodNotAllowed")
    assert answer.headers["Allow"]
