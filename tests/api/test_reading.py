"""Lists, pages, selectors, tables."""
import pytest

from support.answers import fresh_name, is_status

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


@pytest.fixture(scope="session")
def hydra(undisturbed):
    return undisturbed


@pytest.fixture(scope="module")
def seven(hydra):
    """Seven sandboxes with labels: mark=…, number=0…6, and «even» on every second one."""
    mark = fresh_name("mark")
    for i in range(7):
        labels = {"mark": mark, "number": str(i), **({"even": ""} if i % 2 == 0 else {})}
        answer = hydra.admin().post("sandboxes", json={"metadata": {"name": f"{mark}-{i}", "labels": labels},
                                                       "spec": {"cpuImageName": f"localhost/image:{i}", "displayTitle": f"No {i}"}})
        assert answer.status_code == 201, answer.text
    return mark


def names(answer):
    assert answer.status_code == 200, answer.text
    return [item["metadata"]["name"] for item in answer.json()["items"]]


def test_list(admin, seven):
    answer = admin.get("sandboxes", params={"labelSelector": f"mark={seven}"})
    body = answer.json()
    assert body["kind"] == "SandboxList" and body["apiVersion"] == "open-hydra-server.openhydra.io/v1"
    assert names(answer) == [f"{seven}-{i}" for i in range(7)], "in order of name"
    assert body["metadata"]["resourceVersion"].isdigit()
    assert all(i["kind"] == "Sandbox" and i["apiVersion"] for i in body["items"])


@pytest.mark.parametrize("selector,numbers", [
    ("number=3", [3]), ("number==3", [3]), ("number!=3", [0, 1, 2, 4, 5, 6]), ("number in (1, 2)", [1, 2]),
    ("number notin (1,2)", [0, 3, 4, 5, 6]), ("even", [0, 2, 4, 6]), ("!even", [1, 3, 5]), ("even=", [0, 2, 4, 6]),
    ("even,number in (2,3)", [2]), ("nothing", []), ("nothing!=x,number=1", [1])])
def test_label_selectors(admin, seven, selector, numbers):
    assert names(admin.get("sandboxes", params={"labelSelector": f"mark={seven},{selector}"})) == [f"{seven}-{i}" for i in numbers]


@pytest.mark.parametrize("selector", ["a in", "a in ()x", "=b", "a=b=c", "a b", "a in (b", "!", "-a=b", "a=-b"])
def test_bad_label_selectors(admin, selector):
    is_status(admin.get("sandboxes", params={"labelSelector": selector}), 400, "BadRequest")


def test_field_selector(admin, seven):
    assert names(admin.get("sandboxes", params={"fieldSelector": f"metadata.name={seven}-1"})) == [f"{seven}-1"]
    assert names(admin.get("sandboxes", params={"fieldSelector": f"metadata.name=={seven}-1"})) == [f"{seven}-1"]
    assert names(admin.get("sandboxes", params={"fieldSelector": "metadata.name=nobody-here"})) == []
    others = names(admin.get("sandboxes", params={"fieldSelector": f"metadata.name!={seven}-1"}))
    assert f"{seven}-1" not in others and f"{seven}-2" in others
    is_status(admin.get("sandboxes", params={"fieldSelector": "spec.home=/"}), 400, "BadRequest", "field label not supported")


def test_pages(admin, seven):
    found, token, pages, revisions = [], None, 0, set()
    while True:
        answer = admin.get("sandboxes", params={"labelSelector": f"mark={seven}", "limit": 3, "continue": token})
        found += names(answer)
        pages += 1
        revisions.add(answer.json()["metadata"]["resourceVersion"])
        token = answer.json()["metadata"].get("continue")
        if not token:
            break
    assert found == [f"{seven}-{i}" for i in range(7)] and pages == 3
    assert len(revisions) == 1, "all pages stand for the first one's revision"


def test_pages_say_how_much_is_left(admin, seven):
    body = admin.get("sandboxes", params={"limit": 2}).json()
    total = len(admin.get("sandboxes").json()["items"])
    assert len(body["items"]) == 2 and body["metadata"]["remainingItemCount"] == total - 2


def test_pages_while_objects_change(hydra, admin):
    """What was there all the time is shown exactly once, whatever else comes and goes between the pages."""
    mark = fresh_name("page")
    make = lambda name: admin.post("sandboxes", json={"metadata": {"name": name, "labels": {"mark": mark}}, "spec": {"cpuImageName": "a"}})
    for i in range(6):
        make(f"{mark}-{2 * i:02}")
    first = admin.get("sandboxes", params={"labelSelector": f"mark={mark}", "limit": 2})
    admin.delete(f"sandboxes/{mark}-02")
    make(f"{mark}-01")
    make(f"{mark}-05")
    rest = admin.get("sandboxes", params={"labelSelector": f"mark={mark}", "continue": first.json()["metadata"]["continue"]})
    seen = names(first) + names(rest)
    assert len(seen) == len(set(seen))
    assert {f"{mark}-{i:02}" for i in (0, 4, 6, 8, 10)} <= set(seen)


def test_bad_pages(admin):
    for token in ("nonsense", "e30", "%", "AAAA" * 100):
        answer = admin.get("sandboxes", params={"limit": 2, "continue": token})
        assert answer.status_code in (400, 410), answer.text
        assert answer.json()["kind"] == "Status"
    is_status(admin.get("sandboxes", params={"limit": "many"}), 400, "BadRequest")
    is_status(admin.get("sandboxes", params={"limit": "-1"}), 400, "BadRequest")


def test_resource_version_of_lists(admin, sandbox):
    now = admin.get("sandboxes").json()["metadata"]["resourceVersion"]
    assert admin.get("sandboxes", params={"resourceVersion": "0"}).status_code == 200
    assert admin.get("sandboxes", params={"resourceVersion": now, "resourceVersionMatch": "NotOlderThan"}).status_code == 200
    assert admin.get("sandboxes", params={"resourceVersion": now, "resourceVersionMatch": "Exact"}).status_code == 200
    is_status(admin.get("sandboxes", params={"resourceVersion": "abc"}), 400, "BadRequest")
    is_status(admin.get("sandboxes", params={"resourceVersionMatch": "Exact"}), 400, "BadRequest")
    body = is_status(admin.get("sandboxes", params={"resourceVersion": str(int(now) + 100000)}), 504, "Timeout", "Too large")
    assert body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_table(admin, seven):
    table = admin.get("sandboxes", params={"labelSelector": f"mark={seven}"}, headers=TABLE).json()
    assert table["kind"] == "Table" and table["apiVersion"] == "meta.k8s.io/v1"
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Title", "Image", "Phase", "Progress", "Message", "Age"]
    assert table["columnDefinitions"][0]["format"] == "name"
    row = table["rows"][3]
    assert row["cells"][:3] == [f"{seven}-3", "No 3", "localhost/image:3"] and row["cells"][6].endswith("s")
    assert row["object"]["kind"] == "PartialObjectMetadata" and row["object"]["metadata"]["name"] == f"{seven}-3"
    assert "spec" not in row["object"]


def test_table_of_devices_and_users(admin, device):
    table = admin.get("devices", headers=TABLE).json()
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "User", "Sandbox", "Status", "Reason", "URL", "Message", "Queue", "CPU", "Last Activity", "Age"]
    assert next(c for c in table["columnDefinitions"] if c["name"] == "Message")["priority"] == 1
    assert any(r["cells"][0] == device["metadata"]["name"] for r in table["rows"])
    table = admin.get("openhydrausers", headers=TABLE).json()
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Display Name", "Role", "Ended", "Message", "Age"]


def test_table_includes(admin, seven):
    one = f"sandboxes/{seven}-0"
    assert admin.get(one, headers=TABLE, params={"includeObject": "Object"}).json()["rows"][0]["object"]["spec"]
    assert "object" not in admin.get(one, headers=TABLE, params={"includeObject": "None"}).json()["rows"][0] or \
        admin.get(one, headers=TABLE, params={"includeObject": "None"}).json()["rows"][0]["object"] is None
    is_status(admin.get(one, headers=TABLE, params={"includeObject": "Some"}), 400, "BadRequest")


def test_partial_metadata(admin, seven):
    accept = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    one = admin.get(f"sandboxes/{seven}-0", headers=accept).json()
    assert one["kind"] == "PartialObjectMetadata" and "spec" not in one and one["metadata"]["labels"]["mark"] == seven
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    many = admin.get("sandboxes", headers=accept, params={"labelSelector": f"mark={seven}"}).json()
    assert many["kind"] == "PartialObjectMetadataList" and len(many["items"]) == 7 and "spec" not in many["items"][0]
