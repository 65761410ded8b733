"""OpenHydraUser: names, passwords, the last administrator, what goes with a user."""
import json

import pytest

from support.answers import Watch, fresh_name, is_status, warnings
from support.instance import wait_until


def patch(client, name, change, **kwargs):
    return client.patch(f"openhydrausers/{name}", data=json.dumps(change),
                        headers={"Content-Type": "application/merge-patch+json"}, **kwargs)


def can_login(hydra, name, password):
    answer = hydra.visitor().post("/auth/login", json={"username": name, "password": password})
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


def test_create(hydra, admin):
    name = fresh_name()
    answer = admin.post("openhydrausers", json={"metadata": {"name": name}, "spec": {
        "chineseName": "王小明 ☺", "description": "d", "email": "a@b", "role": 2, "password": "a:b c 密码"}})
    assert answer.status_code == 201
    assert answer.json()["spec"] == {"chineseName": "王小明 ☺", "description": "d", "email": "a@b", "role": 2}
    assert can_login(hydra, name, "a:b c 密码") and not can_login(hydra, name, "a:b c")


@pytest.mark.parametrize("name", ["Anna", "anna_b", "anna.b", "-anna", "王", "a" * 64, "anna "])
def test_names_are_dns_labels(admin, name):
    answer = admin.post("openhydrausers", json={"metadata": {"name": name}, "spec": {"role": 2, "password": "password"}})
    body = is_status(answer, 422, "Invalid", field="metadata.name")
    text = body["details"]["causes"][0]["message"]
    assert "RFC 1123 label" in text and "63" in text and "lower case" in text, "it says what a name may be"


@pytest.mark.parametrize("spec,field", [({"role": 3}, "spec.role"), ({"role": "1"}, "spec.role"), ({}, "spec.role"),
                                        ({"role": 2, "password": 12345678}, "spec.password"),
                                        ({"role": 2, "password": "x" * 1025}, "spec.password"),
                                        ({"role": 2, "password": "7"}, "spec.password"),
                                        ({"role": 2, "password": "1234567"}, "spec.password"),
                                        ({"role": 2, "password": "密码密码密码密"}, "spec.password"),
                                        ({"role": 2, "password": "tab\tinside"}, "spec.password"),
                                        ({"role": 2, "chineseName": "x" * 256}, "spec.chineseName")])
def test_bad_fields(admin, spec, field):
    answer = admin.post("openhydrausers", json={"metadata": {"name": fresh_name()}, "spec": spec})
    body = is_status(answer, 422, "Invalid", field=field)
    assert "12345678" not in json.dumps(body)


def test_without_a_password_nobody_logs_in(hydra, admin):
    name = fresh_name()
    answer = admin.post("openhydrausers", json={"metadata": {"name": name}, "spec": {"role": 2}})
    assert answer.status_code == 201 and any("password" in w for w in warnings(answer))
    assert not can_login(hydra, name, "password")
    assert patch(admin, name, {"spec": {"password": "now-there-is"}}).status_code == 200
    assert can_login(hydra, name, "now-there-is")


def test_password_stays_where_it_is_left_out(hydra, admin, user):
    present = admin.get(f"openhydrausers/{user}").json()
    assert "password" not in present["spec"]
    assert admin.put(f"openhydrausers/{user}", json=present).status_code == 200
    assert can_login(hydra, user, "password")
    for empty in (None, ""):
        assert patch(admin, user, {"spec": {"password": empty, "description": "x"}}).status_code == 200
        assert can_login(hydra, user, "password")


def test_one_rule_for_passwords(hydra, admin, user):
    """Whoever sets it, and however it is pasted."""
    is_status(patch(admin, user, {"spec": {"password": "123"}}), 422, "Invalid", field="spec.password")
    assert can_login(hydra, user, "password")
    for password in ("12345678", "openhydra", "密码密码密码密码", "pasted-with-its-end\r\n"):
        assert patch(admin, user, {"spec": {"password": password}}).status_code == 200, password
        assert can_login(hydra, user, password.strip())


def test_same_password_is_no_change(hydra, admin, user):
    session = hydra.login(user, "password")
    before = admin.get(f"openhydrausers/{user}").json()
    answer = patch(admin, user, {"spec": {"password": "password"}})
    assert answer.json() == before
    assert session.get("/auth/session").json()["authenticated"], "no session has ended"


def test_new_password_ends_all_sessions(hydra, admin, user):
    session = hydra.login(user, "password")
    token = hydra.visitor().post("/auth/login", json={"username": user, "password": "password", "bearer": True}).json()["token"]
    assert patch(admin, user, {"spec": {"password": "another one"}}).status_code == 200
    is_status(session.get(f"openhydrausers/{user}"), 401, "Unauthorized")
    is_status(hydra.visitor().get(f"openhydrausers/{user}", headers={"Authorization": f"Bearer {token}"}), 401, "Unauthorized")
    assert not can_login(hydra, user, "password") and can_login(hydra, user, "another one")


def test_delete_ends_sessions(hydra, admin, user):
    session = hydra.login(user, "password")
    uid = admin.get(f"openhydrausers/{user}").json()["metadata"]["uid"]
    body = admin.delete(f"openhydrausers/{user}").json()
    assert body["status"] == "Success" and body["details"]["uid"] == uid
    is_status(session.get("devices"), 401, "Unauthorized")
    assert session.get("/auth/session").json()["authenticated"] is False
    assert not can_login(hydra, user, "password")
    # A new one of the same name is another, whom the old session does not know.
    hydra.create_user(user, "password")
    is_status(session.get("devices"), 401, "Unauthorized")


def test_delete_takes_the_device_along(hydra, admin, user, device):
    name = device["metadata"]["name"]
    hold = {"metadata": {"finalizers": [*device["metadata"]["finalizers"], "test.example.io/hold"]}}
    merge_patch = {"Content-Type": "application/merge-patch+json"}
    assert admin.patch(f"devices/{name}", data=json.dumps(hold), headers=merge_patch).status_code == 200
    with Watch(admin, "openhydrausers", resourceVersion=device["metadata"]["resourceVersion"]) as watch:
        answer = admin.delete(f"openhydrausers/{user}")
        assert answer.status_code == 200 and answer.json()["metadata"]["deletionTimestamp"]
        assert admin.get(f"devices/{name}").json()["metadata"]["deletionTimestamp"]
        # The user goes after its device, and gets no other one meanwhile.
        is_status(admin.post("devices", json={"metadata": {"name": fresh_name()}, "spec": {"openHydraUsername": user}}), 409, "Conflict",
                  "is being deleted")
        is_status(admin.post("openhydrausers", json={"metadata": {"name": user}, "spec": {"role": 2}}), 409, "AlreadyExists", "being deleted")
        wait_until(lambda: admin.get(f"devices/{name}").json()["metadata"]["finalizers"] == ["test.example.io/hold"], 60)
        assert admin.patch(f"devices/{name}", data='{"metadata":{"finalizers":null}}', headers=merge_patch).status_code == 200
        watch.until_name(user, "DELETED", seconds=60)
    is_status(admin.get(f"devices/{name}"), 404, "NotFound")
    is_status(admin.get(f"openhydrausers/{user}"), 404, "NotFound")


def test_user_made_again_is_somebody_else(hydra, admin, imageless):
    name = fresh_name()
    hydra.create_user(name)
    first = hydra.create_device(name, sandboxName=imageless)
    admin.delete(f"openhydrausers/{name}")
    wait_until(lambda: admin.get(f"openhydrausers/{name}").status_code == 404, 60, what="user gone")
    answer = admin.post("openhydrausers", json={"metadata": {"name": name}, "spec": {"role": 2, "password": "password"}})
    assert any("existed before" in w for w in warnings(answer)), answer.headers
    again = hydra.create_device(name, sandboxName=imageless)
    assert again["status"]["hostId"] > first["status"]["hostId"], "the owner of the files is another"
    assert again["status"]["formerHostId"] == first["status"]["hostId"] and "formerHostId" not in first["status"]
    assert first["status"]["ownerUid"] != again["status"]["ownerUid"] == admin.get(f"openhydrausers/{name}").json()["metadata"]["uid"]
    # The first is remembered, whoever comes after.
    admin.delete(f"openhydrausers/{name}")
    wait_until(lambda: admin.get(f"openhydrausers/{name}").status_code == 404, 60, what="user gone")
    hydra.create_user(name)
    third = hydra.create_device(name, sandboxName=imageless)["status"]
    assert third["formerHostId"] == first["status"]["hostId"] < again["status"]["hostId"] < third["hostId"]


def test_last_administrator(fresh):
    admin = fresh.admin()
    fresh.create_user("first", "password-1", role=1)
    for deed in (lambda: admin.delete("openhydrausers/first"), lambda: patch(admin, "first", {"spec": {"role": 2}}),
                 lambda: admin.delete("openhydrausers"), lambda: admin.delete("openhydrausers/first", params={"dryRun": "All"})):
        is_status(deed(), 403, "Forbidden", "first is the last administrator")
    fresh.create_user("second", "password-2", role=1)
    assert patch(admin, "first", {"spec": {"role": 2}}).status_code == 200
    is_status(admin.delete("openhydrausers/second"), 403, "Forbidden", "last administrator")
    assert admin.delete("openhydrausers/first").status_code == 200
    is_status(admin.delete("openhydrausers"), 403, "Forbidden")
    assert admin.get("openhydrausers/second").status_code == 200


def test_status_of_a_user_says_nothing_of_passwords(admin, user):
    answer = admin.put(f"openhydrausers/{user}/status", json={"metadata": {"name": user}, "spec": {"role": 1, "password": "hidden-word"}})
    assert answer.status_code == 200 and answer.json()["spec"]["role"] == 2 and "hidden-word" not in answer.text


def test_well_known_password_is_told_at_login(hydra, admin):
    name = fresh_name()
    hydra.create_user(name, "openhydra", role=1)
    answer = hydra.visitor().post("/auth/login", json={"username": name, "password": "openhydra"})
    assert answer.status_code == 200 and answer.json()["wellKnownPassword"] is True


@pytest.mark.parametrize("field", ["chineseName", "description", "email"])
@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "\x9b31m", "\u202egnp.exe", "a\u2028b", "\x7f", "a\rb"])
def test_names_do_not_steer_terminals(admin, user, field, text):
    body = {"metadata": {"name": fresh_name()}, "spec": {"role": 2, field: f"x{text}"}}
    is_status(admin.post("openhydrausers", json=body), 422, "Invalid", field=f"spec.{field}")
    change = admin.patch(f"openhydrausers/{user}", json={"spec": {field: f"x{text}"}}, headers={"Content-Type": "application/merge-patch+json"})
    is_status(change, 422, "Invalid", field=f"spec.{field}")
