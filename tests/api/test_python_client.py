"""The official Python client: what it takes for granted of a server."""
import pytest

kubernetes = pytest.importorskip("kubernetes")

from support.answers import fresh_name  # noqa: E402

GROUP, VERSION = "open-hydra-server.openhydra.io", "v1"


@pytest.fixture(scope="module")
def client(hydra):
    return kubernetes.config.new_client_from_config(hydra.kubeconfig)


@pytest.fixture
def objects(client):
    return kubernetes.client.CustomObjectsApi(client)


def body(kind, name, **spec):
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def test_objects(objects):
    name = fresh_name("py")
    made = objects.create_cluster_custom_object(GROUP, VERSION, "openhydrausers", body("OpenHydraUser", name, role=2, password="password"))
    assert made["metadata"]["uid"] and "password" not in made["spec"]
    assert name in [i["metadata"]["name"] for i in objects.list_cluster_custom_object(GROUP, VERSION, "openhydrausers")["items"]]
    changed = objects.patch_cluster_custom_object(GROUP, VERSION, "openhydrausers", name, {"spec": {"chineseName": "小明"}})
    assert changed["spec"]["chineseName"] == "小明"
    changed["spec"]["description"] = "replaced"
    again = objects.replace_cluster_custom_object(GROUP, VERSION, "openhydrausers", name, changed)
    assert again["spec"]["description"] == "replaced"
    with pytest.raises(kubernetes.client.ApiException) as refused:
        objects.replace_cluster_custom_object(GROUP, VERSION, "openhydrausers", name, changed)
    assert refused.value.status == 409
    assert objects.get_cluster_custom_object(GROUP, VERSION, "openhydrausers", name) == again
    objects.delete_cluster_custom_object(GROUP, VERSION, "openhydrausers", name)
    with pytest.raises(kubernetes.client.ApiException) as refused:
        objects.get_cluster_custom_object(GROUP, VERSION, "openhydrausers", name)
    assert refused.value.status == 404


def test_pages(objects):
    mark = fresh_name("mark")
    for i in range(5):
        one = body("Sandbox", f"{mark}-{i}", cpuImageName="a")
        one["metadata"]["labels"] = {"mark": mark}
        objects.create_cluster_custom_object(GROUP, VERSION, "sandboxes", one)
    found, token = [], None
    while True:
        more = {"_continue": token} if token else {}
        page = objects.list_cluster_custom_object(GROUP, VERSION, "sandboxes", label_selector=f"mark={mark}", limit=2, **more)
        found += [i["metadata"]["name"] for i in page["items"]]
        token = page["metadata"].get("continue")
        if not token:
            break
    assert found == [f"{mark}-{i}" for i in range(5)]
    objects.delete_collection_cluster_custom_object(GROUP, VERSION, "sandboxes", label_selector=f"mark={mark}")
    assert objects.list_cluster_custom_object(GROUP, VERSION, "sandboxes", label_selector=f"mark={mark}")["items"] == []


def test_watch(objects):
    mark = fresh_name("mark")
    start = objects.list_cluster_custom_object(GROUP, VERSION, "sandboxes")["metadata"]["resourceVersion"]
    one = body("Sandbox", mark, cpuImageName="a")
    objects.create_cluster_custom_object(GROUP, VERSION, "sandboxes", one)
    objects.patch_cluster_custom_object(GROUP, VERSION, "sandboxes", mark, {"spec": {"home": "/x"}})
    objects.delete_cluster_custom_object(GROUP, VERSION, "sandboxes", mark)
    watch, seen = kubernetes.watch.Watch(), []
    for event in watch.stream(objects.list_cluster_custom_object, GROUP, VERSION, "sandboxes", resource_version=start, timeout_seconds=30):
        if event["object"]["metadata"]["name"] == mark:
            seen.append(event["type"])
        if len(seen) == 3:
            watch.stop()
    assert seen == ["ADDED", "MODIFIED", "DELETED"]


def test_discovery(client):
    dynamic = pytest.importorskip("kubernetes.dynamic")
    api = dynamic.DynamicClient(client).resources.get(api_version=f"{GROUP}/{VERSION}", kind="Device")
    assert api.name == "devices" and not api.namespaced
    assert kubernetes.client.VersionApi(client).get_code().git_version
