"""Create, update, patch, delete: the conventions that all kinds share."""
import json

import pytest
import yaml

from support.answers import fresh_name, is_status, warnings
from support.instance import GROUP


@pytest.fixture(scope="session")
def hydra(undisturbed):
    return undisturbed


def box(name, **spec):
    return {"apiVersion": "open-hydra-server.openhydra.io/v1", "kind": "Sandbox", "metadata": {"name": name},
            "spec": {"cpuImageName": "localhost/a:b", **spec}}


def patch(admin, name, change, **kwargs):
    return admin.patch(f"sandboxes/{name}", data=json.dumps(change),
                       headers={"Content-Type": "application/merge-patch+json"}, **kwargs)


# ---- create ---------------------------------------------------------------------------------------------------

def test_create_stamps(admin):
    name = fresh_name()
    answer = admin.post("sandboxes", json={**box(name), "status": {"made": "up"}} | {
        "metadata": {"name": name, "uid": "mine", "generation": 9, "creationTimestamp": "2001-01-01T00:00:00Z",
                     "resourceVersion": ""}})
    assert answer.status_code == 201
    made = answer.json()
    assert made["metadata"]["uid"] != "mine" and made["metadata"]["generation"] == 1
    assert not made["metadata"]["creationTimestamp"].startswith("2001")
    assert made["metadata"]["resourceVersion"].isdigit()
    assert made.get("status", {}) == {}
    assert made["spec"]["home"] == "/home/student", "defaults are filled in"
    assert admin.get(f"sandboxes/{name}").json() == made


def test_create_twice(admin, sandbox):
    is_status(admin.post("sandboxes", json=box(sandbox["metadata"]["name"])), 409, "AlreadyExists", "already exists")


def test_generate_name(admin):
    answer = admin.post("sandboxes", json={"metadata": {"generateName": "gen-"}, "spec": {"cpuImageName": "a"}})
    assert answer.status_code == 201
    assert answer.json()["metadata"]["name"].startswith("gen-") and len(answer.json()["metadata"]["name"]) > 4


@pytest.mark.parametrize("name", ["Upper", "-x", "x-", "a_b", "a.b", "a" * 64, "", "中文", "a b", "a/b"])
def test_bad_names(admin, name):
    is_status(admin.post("sandboxes", json=box(name)), 422, "Invalid", field="metadata.name")


def test_yaml_body(admin):
    name = fresh_name()
    answer = admin.post("sandboxes", data=yaml.safe_dump(box(name)), headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 201 and answer.json()["metadata"]["name"] == name
    changed = admin.get(f"sandboxes/{name}").json() | {"spec": {"cpuImageName": "localhost/c:d"}}
    answer = admin.put(f"sandboxes/{name}", data=yaml.safe_dump(changed), headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 200 and answer.json()["spec"]["cpuImageName"] == "localhost/c:d"


@pytest.mark.parametrize("kind,version", [("Device", None), (None, "open-hydra-server.openhydra.io/v2"), ("Pod", "v1")])
def test_another_kinds_object(admin, kind, version):
    body = box(fresh_name())
    body["kind"], body["apiVersion"] = kind or body["kind"], version or body["apiVersion"]
    is_status(admin.post("sandboxes", json=body), 400, "BadRequest", "does not match")


def test_schema_errors_name_the_fields(admin):
    body = is_status(admin.post("sandboxes", json=box(fresh_name(), runAsUser="zero", socket="relative", network=3)),
                     422, "Invalid", field="spec.runAsUser")
    fields = [c["field"] for c in body["details"]["causes"]]
    assert "spec.socket" in fields and "spec.network" in fields
    assert body["details"]["kind"] == "Sandbox" and body["details"]["group"] == "open-hydra-server.openhydra.io"
    is_status(admin.post("sandboxes", json={"metadata": {"name": fresh_name()}, "spec": {}}), 422, "Invalid",
              field="spec.cpuImageName")
    is_status(admin.post("sandboxes", json={"metadata": {"name": fresh_name()}}), 422, "Invalid", field="spec")


# ---- bodies ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("body", ["", "{", "[]", "3", "null", '"text"', "{} {}", "{\"a\":\"\xff\"}"])
def test_bodies_that_are_no_object(admin, body):
    answer = admin.post("sandboxes", data=body.encode("latin-1"), headers={"Content-Type": "application/json"})
    is_status(answer, 400, "BadRequest")


def test_body_too_large(admin):
    name = fresh_name()
    answer = admin.post("sandboxes", json=box(name, description="x" * (3 << 20)))
    is_status(answer, 413, "RequestEntityTooLarge")
    assert admin.get(f"sandboxes/{name}").status_code == 404


def test_body_too_deep(admin):
    body = '{"metadata":{"name":"deep"},"spec":{"cpuImageName":"a","volumes":[' + '{"a":' * 5000 + "1" + "}" * 5000 + "]}}"
    is_status(admin.post("sandboxes", data=body, headers={"Content-Type": "application/json"}), 400, "BadRequest", "deep")
    flow = "[" * 5000 + "]" * 5000
    is_status(admin.post("sandboxes", data=flow, headers={"Content-Type": "application/yaml"}), 400, "BadRequest")


def test_yaml_aliases_do_not_multiply(admin):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join('*' + chr(97 + i) for _ in range(9))}]\n" for i in range(12))
    answer = admin.post("sandboxes", data=bomb, headers={"Content-Type": "application/yaml"})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["kind"] == "Status"


@pytest.mark.parametrize("kind", ["application/vnd.kubernetes.protobuf", "text/plain", "application/merge-patch+json"])
def test_media_types_of_create(admin, kind):
    is_status(admin.post("sandboxes", data="{}", headers={"Content-Type": kind}), 415, "UnsupportedMediaType")


@pytest.mark.parametrize("kind", ["application/json-patch+json", "application/strategic-merge-patch+json",
                                  "application/apply-patch+yaml", "application/json"])
def test_patch_types_not_offered(admin, sandbox, kind):
    answer = admin.patch(f"sandboxes/{sandbox['metadata']['name']}", data="{}", headers={"Content-Type": kind})
    is_status(answer, 415, "UnsupportedMediaType")
    assert "application/merge-patch+json" in answer.headers.get("Accept-Patch", "")


@pytest.mark.parametrize("accept", ["application/vnd.kubernetes.protobuf", "text/html", "application/xml",
                                    "application/json;as=Nonsense;v=v1;g=meta.k8s.io", "application/json;q=0"])
def test_not_acceptable(admin, sandbox, accept):
    for path in ("sandboxes", f"sandboxes/{sandbox['metadata']['name']}"):
        is_status(admin.get(path, headers={"Accept": accept}), 406, "NotAcceptable")


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json;charset=utf-8", "text/html, application/json;q=0.1",
                                    "application/vnd.kubernetes.protobuf, application/json"])
def test_acceptable(admin, sandbox, accept):
    answer = admin.get(f"sandboxes/{sandbox['metadata']['name']}", headers={"Accept": accept})
    assert answer.status_code == 200 and answer.json()["kind"] == "Sandbox"


def test_large_headers(admin):
    answer = admin.get("sandboxes", headers={"X-Large": "x" * 100000})
    assert answer.status_code in (400, 431)


def test_slow_request_is_ended_and_others_go_on(hydra, admin):
    """A client that sends half a request holds nothing that others need."""
    import socket
    halves = []
    for _ in range(50):
        s = socket.create_connection(("127.0.0.1", hydra.dashboard_port))
        s.sendall(b"GET /version HTTP/1.1\r\nHost: ")
        halves.append(s)
    assert admin.get("/version").status_code == 200
    for s in halves:
        s.close()


# ---- dry run --------------------------------------------------------------------------------------------------

def test_dry_run_of_every_verb(admin, sandbox):
    name = sandbox["metadata"]["name"]
    before = admin.get("sandboxes").json()["metadata"]["resourceVersion"]
    other = fresh_name()
    answer = admin.post("sandboxes", params={"dryRun": "All"}, json=box(other))
    assert answer.status_code == 201 and answer.json()["metadata"]["uid"]
    assert admin.get(f"sandboxes/{other}").status_code == 404
    changed = json.loads(json.dumps(sandbox))
    changed["spec"]["displayTitle"] = "two"
    answer = admin.put(f"sandboxes/{name}", params={"dryRun": "All"}, json=changed)
    assert answer.status_code == 200 and answer.json()["spec"]["displayTitle"] == "two"
    answer = patch(admin, name, {"spec": {"displayTitle": "three"}}, params={"dryRun": "All"})
    assert answer.status_code == 200 and answer.json()["spec"]["displayTitle"] == "three"
    answer = admin.put(f"sandboxes/{name}/status", params={"dryRun": "All"}, json={**sandbox, "status": {"a": 1}})
    assert answer.status_code == 200
    assert admin.delete(f"sandboxes/{name}", params={"dryRun": "All"}).status_code == 200
    assert admin.delete(f"sandboxes/{name}", json={"dryRun": ["All"]}).status_code == 200
    assert admin.delete("sandboxes", params={"dryRun": "All", "labelSelector": "test=yes"}).status_code == 200
    assert admin.get(f"sandboxes/{name}").json() == sandbox
    assert admin.get("sandboxes").json()["metadata"]["resourceVersion"] == before


def test_dry_run_asks_the_hooks(admin, user, device):
    """A second device of the same user is refused in a dry run too, and a first one takes no port and no place."""
    second = {"metadata": {"name": fresh_name()}, "spec": {"openHydraUsername": user}}
    is_status(admin.post("devices", params={"dryRun": "All"}, json=second), 409, "AlreadyExists", device["metadata"]["name"])


def test_dry_run_of_a_device_keeps_nothing(hydra, admin, imageless):
    user = hydra.create_user(fresh_name())["metadata"]["name"]
    body = {"metadata": {"name": user}, "spec": {"openHydraUsername": user, "sandboxName": imageless}}
    for _ in range(2):
        assert admin.post("devices", params={"dryRun": "All"}, json=body).status_code == 201
    assert admin.post("devices", json=body).status_code == 201


def test_dry_run_of_a_password_changes_none(hydra, admin, user):
    answer = admin.patch(f"openhydrausers/{user}", params={"dryRun": "All"}, data='{"spec":{"password":"not-really"}}',
                         headers={"Content-Type": "application/merge-patch+json"})
    assert answer.status_code == 200
    hydra.login(user, "password")


@pytest.mark.parametrize("value", ["all", "true", "None", "All,All"])
def test_other_values_of_dry_run(admin, sandbox, value):
    name = sandbox["metadata"]["name"]
    is_status(admin.post("sandboxes", params={"dryRun": value}, json=box(fresh_name())), 400, "BadRequest", "dryRun")
    is_status(admin.put(f"sandboxes/{name}", params={"dryRun": value}, json=sandbox), 400, "BadRequest", "dryRun")
    is_status(patch(admin, name, {}, params={"dryRun": value}), 400, "BadRequest", "dryRun")
    is_status(admin.delete(f"sandboxes/{name}", params={"dryRun": value}), 400, "BadRequest", "dryRun")
    is_status(admin.delete(f"sandboxes/{name}", json={"dryRun": [value]}), 400, "BadRequest", "dryRun")
    assert admin.get(f"sandboxes/{name}").status_code == 200


# ---- unknown and duplicate fields -----------------------------------------------------------------------------

DOUBLE = '{"metadata":{"name":"%s"},"spec":{"cpuImageName":"first","cpuImageName":"second","nonsense":1}}'


def test_strict(admin):
    body = DOUBLE % fresh_name()
    answer = admin.post("sandboxes", params={"fieldValidation": "Strict"}, data=body, headers={"Content-Type": "application/json"})
    is_status(answer, 400, "BadRequest", 'unknown field "spec.nonsense"', 'duplicate field "spec.cpuImageName"')


@pytest.mark.parametrize("mode", ["Warn", None])
def test_warn(admin, mode):
    name = fresh_name()
    answer = admin.post("sandboxes", params={"fieldValidation": mode}, data=DOUBLE % name,
                        headers={"Content-Type": "application/json"})
    assert answer.status_code == 201
    assert {'unknown field "spec.nonsense"', 'duplicate field "spec.cpuImageName"'} <= set(warnings(answer))
    assert answer.json()["spec"]["cpuImageName"] == "second", "the last one counts"
    assert "nonsense" not in answer.json()["spec"]


def test_ignore(admin):
    answer = admin.post("sandboxes", params={"fieldValidation": "Ignore"}, data=DOUBLE % fresh_name(),
                        headers={"Content-Type": "application/json"})
    assert answer.status_code == 201
    assert not [w for w in warnings(answer) if "field \\" in w], answer.headers


def test_validation_of_patch_and_update(admin, sandbox):
    name = sandbox["metadata"]["name"]
    changed = {**sandbox, "spec": {**sandbox["spec"], "nonsense": 1}}
    is_status(admin.put(f"sandboxes/{name}", params={"fieldValidation": "Strict"}, json=changed), 400, "BadRequest", "nonsense")
    is_status(patch(admin, name, {"spec": {"nonsense": 1}}, params={"fieldValidation": "Strict"}), 400, "BadRequest", "nonsense")
    answer = admin.patch(f"sandboxes/{name}", params={"fieldValidation": "Strict"}, data='{"spec":{"home":"/a","home":"/b"}}',
                         headers={"Content-Type": "application/merge-patch+json"})
    is_status(answer, 400, "BadRequest", 'duplicate field "spec.home"')
    is_status(admin.put(f"sandboxes/{name}", params={"fieldValidation": "Perhaps"}, json=sandbox), 400, "BadRequest", "fieldValidation")


def test_duplicates_in_yaml(admin):
    text = f"metadata: {{name: {fresh_name()}}}\nspec:\n  cpuImageName: a\n  cpuImageName: b\n"
    answer = admin.post("sandboxes", params={"fieldValidation": "Strict"}, data=text, headers={"Content-Type": "application/yaml"})
    is_status(answer, 400, "BadRequest")


# ---- update ---------------------------------------------------------------------------------------------------

def test_optimistic_locking(admin, sandbox):
    name = sandbox["metadata"]["name"]
    mine = json.loads(json.dumps(sandbox))
    mine["spec"]["displayTitle"] = "mine"
    first = admin.put(f"sandboxes/{name}", json=mine)
    assert first.status_code == 200 and first.json()["metadata"]["generation"] == 2
    is_status(admin.put(f"sandboxes/{name}", json=mine), 409, "Conflict", "the object has been modified")
    is_status(patch(admin, name, {"metadata": {"resourceVersion": sandbox["metadata"]["resourceVersion"]},
                                  "spec": {"displayTitle": "x"}}), 409, "Conflict")
    del mine["metadata"]["resourceVersion"]
    mine["spec"]["displayTitle"] = "without a lock"
    assert admin.put(f"sandboxes/{name}", json=mine).status_code == 200


def test_update_keeps_what_is_the_servers(admin, sandbox):
    name = sandbox["metadata"]["name"]
    changed = {"metadata": {"name": name, "creationTimestamp": None, "generation": 77, "labels": {"a": "b"}}, "spec": sandbox["spec"]}
    answer = admin.put(f"sandboxes/{name}", json=changed).json()
    for key in ("uid", "creationTimestamp", "generation"):
        assert answer["metadata"][key] == sandbox["metadata"][key], "labels make no new generation"
    assert answer["metadata"]["labels"] == {"a": "b"}


def test_update_of_another_name_or_uid(admin, sandbox):
    name = sandbox["metadata"]["name"]
    is_status(admin.put(f"sandboxes/{name}", json=box("another")), 400, "BadRequest", "does not match")
    stranger = {**sandbox, "metadata": {"name": name, "uid": "00000000-0000-0000-0000-000000000000"}}
    is_status(admin.put(f"sandboxes/{name}", json=stranger), 409, "Conflict", "UID")
    is_status(admin.put("sandboxes/nobody-here", json=box("nobody-here")), 404, "NotFound", "not found")
    is_status(patch(admin, "nobody-here", {}), 404, "NotFound")
    is_status(admin.delete("sandboxes/nobody-here"), 404, "NotFound")
    is_status(admin.get("sandboxes/nobody-here"), 404, "NotFound")


def test_change_of_nothing_is_no_change(admin, sandbox):
    name = sandbox["metadata"]["name"]
    answer = admin.put(f"sandboxes/{name}", json=sandbox)
    assert answer.status_code == 200 and answer.json() == sandbox
    assert patch(admin, name, {}).json() == sandbox


def test_bad_resource_version(admin, sandbox):
    body = {**sandbox, "metadata": {"name": sandbox["metadata"]["name"], "resourceVersion": "abc"}}
    is_status(admin.put(f"sandboxes/{sandbox['metadata']['name']}", json=body), 422, "Invalid", field="metadata.resourceVersion")


def test_merge_patch(admin, sandbox):
    name = sandbox["metadata"]["name"]
    answer = patch(admin, name, {"metadata": {"labels": {"test": None, "new": "1"}}, "spec": {"displayTitle": None, "developmentInfo": ["a"]}})
    assert answer.status_code == 200
    assert answer.json()["metadata"]["labels"] == {"new": "1"}
    assert "displayTitle" not in answer.json()["spec"] and answer.json()["spec"]["developmentInfo"] == ["a"]
    assert patch(admin, name, {"spec": {"developmentInfo": ["b", "c"]}}).json()["spec"]["developmentInfo"] == ["b", "c"], \
        "lists are replaced"
    is_status(patch(admin, name, {"spec": None}), 422, "Invalid", field="spec")
    is_status(patch(admin, name, {"metadata": {"name": "other"}}), 400, "BadRequest")
    is_status(patch(admin, name, [1]), 400, "BadRequest")


# ---- status ---------------------------------------------------------------------------------------------------

def test_status_subresource(admin, sandbox):
    name = sandbox["metadata"]["name"]
    sent = json.loads(json.dumps(sandbox))
    sent["status"], sent["spec"]["displayTitle"], sent["metadata"]["labels"] = {"seen": "yes"}, "ignored", {"ignored": "too"}
    answer = admin.put(f"sandboxes/{name}/status", json=sent)
    assert answer.status_code == 200
    after = answer.json()
    assert after["status"] == {"seen": "yes"} and after["spec"] == sandbox["spec"]
    assert after["metadata"]["labels"] == sandbox["metadata"]["labels"]
    assert after["metadata"]["generation"] == 1 and after["metadata"]["resourceVersion"] != sandbox["metadata"]["resourceVersion"]
    assert admin.get(f"sandboxes/{name}/status").json() == after
    is_status(admin.put(f"sandboxes/{name}/status", json=sent), 409, "Conflict")

    answer = admin.patch(f"sandboxes/{name}/status", data='{"status":{"seen":null,"more":1},"spec":{"displayTitle":"x"}}',
                         headers={"Content-Type": "application/merge-patch+json"})
    assert answer.json()["status"] == {"more": 1} and answer.json()["spec"] == sandbox["spec"]

    kept = admin.put(f"sandboxes/{name}", json={**sandbox, "metadata": {"name": name}, "status": {"lost": 1}})
    assert kept.json()["status"] == {"more": 1}, "the main resource says nothing about status"


# ---- delete ---------------------------------------------------------------------------------------------------

def test_delete_answers_status(admin, sandbox):
    name, uid = sandbox["metadata"]["name"], sandbox["metadata"]["uid"]
    body = admin.delete(f"sandboxes/{name}", json={"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}).json()
    assert body["kind"] == "Status" and body["status"] == "Success"
    assert body["details"]["name"] == name and body["details"]["uid"] == uid
    is_status(admin.get(f"sandboxes/{name}"), 404, "NotFound", f'sandboxes.open-hydra-server.openhydra.io "{name}" not found')


def test_preconditions(admin, sandbox):
    name = sandbox["metadata"]["name"]
    wrong = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    is_status(admin.delete(f"sandboxes/{name}", json=wrong), 409, "Conflict", "UID")
    is_status(admin.delete(f"sandboxes/{name}", json={"preconditions": {"resourceVersion": "1"}}), 409, "Conflict", "ResourceVersion")
    right = {"preconditions": {"uid": sandbox["metadata"]["uid"], "resourceVersion": sandbox["metadata"]["resourceVersion"]}}
    assert admin.delete(f"sandboxes/{name}", json=right).status_code == 200


@pytest.mark.parametrize("options", [{"kind": "Pod"}, {"propagationPolicy": "Sideways"}, {"preconditions": 1},
                                     {"gracePeriodSeconds": "soon"}, {"dryRun": "All"}])
def test_wrong_delete_options(admin, sandbox, options):
    name = sandbox["metadata"]["name"]
    is_status(admin.delete(f"sandboxes/{name}", json=options), 400, "BadRequest")
    assert admin.get(f"sandboxes/{name}").status_code == 200


def test_finalizers_hold_an_object(admin, sandbox):
    name = sandbox["metadata"]["name"]
    assert patch(admin, name, {"metadata": {"finalizers": ["test.example.io/hold"]}}).status_code == 200
    answer = admin.delete(f"sandboxes/{name}")
    assert answer.status_code == 200 and answer.json()["metadata"]["deletionTimestamp"]
    stamp = answer.json()["metadata"]["deletionTimestamp"]
    assert admin.get(f"sandboxes/{name}").json()["metadata"]["deletionTimestamp"] == stamp
    assert admin.delete(f"sandboxes/{name}").json()["metadata"]["deletionTimestamp"] == stamp, "a second delete changes nothing"
    is_status(admin.post("sandboxes", json=box(name)), 409, "AlreadyExists", "object is being deleted")
    is_status(patch(admin, name, {"metadata": {"finalizers": ["test.example.io/hold", "test.example.io/more"]}}), 422, "Invalid",
              field="metadata.finalizers")
    assert patch(admin, name, {"metadata": {"deletionTimestamp": None}}).json()["metadata"]["deletionTimestamp"] == stamp
    assert patch(admin, name, {"metadata": {"finalizers": None}}).status_code == 200
    assert admin.get(f"sandboxes/{name}").status_code == 404
    assert admin.post("sandboxes", json=box(name)).status_code == 201


def test_delete_collection(admin):
    mark = fresh_name("many")
    for _ in range(3):
        admin.post("sandboxes", json=box(fresh_name()) | {"metadata": {"name": fresh_name(), "labels": {"mark": mark}}})
    answer = admin.delete("sandboxes", params={"labelSelector": f"mark={mark}"})
    assert answer.status_code == 200 and answer.json()["kind"] == "SandboxList"
    assert admin.get("sandboxes", params={"labelSelector": f"mark={mark}"}).json()["items"] == []
    assert admin.get("sandboxes/jupyter-lab").status_code == 200


@pytest.mark.parametrize("metadata", [{"labels": {"a b": "c"}}, {"labels": {"a": "x" * 64}}, {"labels": {"a": 1}},
                                      {"annotations": {"/": ""}}, {"finalizers": ["plain"]}, {"namespace": "default"}])
def test_bad_metadata(admin, metadata):
    answer = admin.post("sandboxes", json={"metadata": {"name": fresh_name(), **metadata}, "spec": {"cpuImageName": "a"}})
    assert answer.status_code in (400, 422) and answer.json()["reason"] in ("BadRequest", "Invalid"), answer.text


def test_head(admin, sandbox):
    answer = admin.head(f"sandboxes/{sandbox['metadata']['name']}")
    assert answer.status_code == 200 and answer.content == b""
    assert admin.head("sandboxes/nobody-here").status_code == 404


def test_the_dashboards_port_serves_the_same(hydra):
    """With a session, over plain HTTP, the same objects."""
    teacher = hydra.login("headmaster", "the-head-knows")
    name = fresh_name()
    assert teacher.post(f"{hydra.dashboard}{GROUP}/sandboxes", json=box(name)).status_code == 201
    assert hydra.admin().get(f"sandboxes/{name}").json() == teacher.get(f"sandboxes/{name}").json()
    assert teacher.delete(f"sandboxes/{name}").status_code == 200
