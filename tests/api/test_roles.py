"""What a student may, and what not."""
import contextlib
import datetime
import json
import queue

import pytest

from support.answers import Watch, fresh_name, is_status


@pytest.fixture
def student(hydra, user):
    session = hydra.login(user, "password")
    session.user = user
    return session


@pytest.fixture
def other(hydra, imageless):
    """Another student, with a device."""
    name = hydra.create_user(fresh_name("other"))["metadata"]["name"]
    hydra.create_device(name, name=f"{name}-env", sandboxName=imageless)
    return name


def merge(client, path, change):
    return client.patch(path, data=json.dumps(change), headers={"Content-Type": "application/merge-patch+json"})


def names(answer):
    assert answer.status_code == 200, answer.text
    return [i["metadata"]["name"] for i in answer.json()["items"]]


def test_own_user(student):
    answer = student.get(f"openhydrausers/{student.user}")
    assert answer.status_code == 200 and "password" not in answer.text
    assert names(student.get("openhydrausers")) == [student.user]


def test_another_user(student, other):
    is_status(student.get(f"openhydrausers/{other}"), 403, "Forbidden", other)
    is_status(student.get("openhydrausers/nobody-here"), 403, "Forbidden")
    assert names(student.get("openhydrausers", params={"fieldSelector": f"metadata.name={other}"})) == []


@pytest.mark.parametrize("change", [{"spec": {"role": 1}}, {"spec": {"password": "mine-now"}}, {"metadata": {"labels": {"a": "b"}}}])
def test_no_change_of_users(hydra, student, other, change):
    for name in (student.user, other):
        is_status(merge(student, f"openhydrausers/{name}", change), 403, "Forbidden")
    is_status(student.put(f"openhydrausers/{student.user}", json={"metadata": {"name": student.user}, "spec": {"role": 1}}), 403, "Forbidden")
    is_status(student.delete(f"openhydrausers/{student.user}"), 403, "Forbidden")
    is_status(student.delete("openhydrausers"), 403, "Forbidden")
    is_status(student.post("openhydrausers", json={"metadata": {"name": fresh_name()}, "spec": {"role": 1}}), 403, "Forbidden")
    is_status(merge(student, f"openhydrausers/{student.user}/status", {"status": {"a": 1}}), 403, "Forbidden")


def test_own_device(hydra, student, other, imageless):
    name = student.user
    body = {"metadata": {"name": name}, "spec": {"openHydraUsername": name, "sandboxName": imageless, "safeMode": True}}
    answer = student.post("devices", json=body)
    assert answer.status_code == 201 and answer.json()["spec"]["safeMode"] is True, answer.text
    assert names(student.get("devices")) == [name]
    assert student.get(f"devices/{name}").status_code == 200
    is_status(merge(student, f"devices/{name}", {"metadata": {"finalizers": None}}), 403, "Forbidden")
    is_status(merge(student, f"devices/{name}/status", {"status": {"phase": "Running"}}), 403, "Forbidden")
    assert student.delete(f"devices/{name}").status_code == 200
    hydra.wait_gone(name)
    # What kubectl waits for after a delete, and says of a second one.
    is_status(student.get(f"devices/{name}"), 404, "NotFound")
    is_status(student.delete(f"devices/{name}"), 404, "NotFound")
    is_status(student.post(f"devices/{name}/ticket"), 404, "NotFound")
    is_status(merge(student, f"devices/{name}", {"spec": {}}), 404, "NotFound")


def test_an_own_device_may_be_kept(student, imageless):
    """Of one's own environment there is one field to change, and that has a ceiling."""
    def later(hours):
        return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")

    name = f"devices/{student.user}"
    assert student.post("devices", json=own(student, imageless)).status_code == 201
    soon = later(2)
    answer = merge(student, name, {"spec": {"keepUntil": soon}})
    assert answer.status_code == 200 and answer.json()["spec"]["keepUntil"] == soon, answer.text
    refused = merge(student, name, {"spec": {"keepUntil": later(30)}})
    is_status(refused, 422, "Invalid", "keepUntilMax")
    assert [cause["field"] for cause in refused.json()["details"]["causes"]] == ["spec.keepUntil"]
    for spec in ({"priority": 5}, {"idleStop": "never"}, {"suspend": True}):
        is_status(merge(student, name, {"spec": spec}), 403, "Forbidden", "spec.keepUntil")
    is_status(student.get(f"{name}/visits"), 403, "Forbidden")


def test_anothers_device(student, other, imageless):
    theirs = f"{other}-env"
    is_status(student.get(f"devices/{theirs}"), 403, "Forbidden")
    is_status(student.delete(f"devices/{theirs}"), 403, "Forbidden")
    is_status(student.delete(f"devices/{theirs}", params={"dryRun": "All"}), 403, "Forbidden")
    is_status(student.post(f"devices/{theirs}/ticket"), 403, "Forbidden")
    is_status(student.get(f"devices/{theirs}/log"), 403, "Forbidden")
    is_status(student.get(f"devices/{theirs}/status"), 403, "Forbidden")
    is_status(student.post("devices", json={"metadata": {"name": fresh_name()}, "spec": {"openHydraUsername": other}}), 403, "Forbidden")
    is_status(student.delete("devices"), 403, "Forbidden")
    assert theirs not in names(student.get("devices"))
    table = student.get("devices", headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}).json()
    assert all(row["cells"][0] != theirs for row in table["rows"])


def own(student, imageless, **metadata):
    return {"metadata": {"name": student.user, **metadata}, "spec": {"openHydraUsername": student.user, "sandboxName": imageless}}


def test_names_cannot_be_found_out(student, other, imageless):
    """Whether others have something of a name looks the same in every way of asking."""
    there, away = f"{other}-env", fresh_name("nothing")
    ways = [lambda name: student.get(f"devices/{name}"), lambda name: student.get(f"devices/{name}/status"),
            lambda name: student.get(f"devices/{name}/log"), lambda name: student.post(f"devices/{name}/ticket"),
            lambda name: student.delete(f"devices/{name}"), lambda name: student.delete(f"devices/{name}", params={"dryRun": "All"}),
            lambda name: merge(student, f"devices/{name}", {"spec": {}}),
            lambda name: student.put(f"devices/{name}", json=own(student, imageless, name=name)),
            lambda name: student.post("devices", json=own(student, imageless, name=name)),
            lambda name: student.post("devices", params={"dryRun": "All"}, json=own(student, imageless, name=name)),
            lambda name: student.get("devices", params={"fieldSelector": f"metadata.name={name}"})]
    for way in ways:
        one, two = way(there), way(away)
        assert one.status_code == two.status_code in (200, 403), (one.text, two.text)
        if one.status_code == 403:
            assert one.text.replace(there, "NAME") == two.text.replace(away, "NAME")
        else:
            assert names(one) == names(two) == []


def test_a_name_is_nobody_elses(hydra, student, other, imageless):
    """One student cannot take the name that another's environment, or the teacher's, will have."""
    for name in ("headmaster", other, f"{student.user}-2"):
        for params in ({}, {"dryRun": "All"}):
            is_status(student.post("devices", params=params, json=own(student, imageless, name=name)), 403, "Forbidden", "metadata.name")
    body = own(student, imageless, generateName=student.user)
    del body["metadata"]["name"]
    is_status(student.post("devices", json=body), 403, "Forbidden", "generateName")
    assert student.post("devices", json=own(student, imageless)).status_code == 201


@pytest.mark.parametrize("metadata", [{"finalizers": ["evil.example/x"]},
                                      {"ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}]},
                                      {"labels": {"open-hydra-server.openhydra.io/x": "y"}}, {"annotations": {"kubernetes.io/x": "y"}},
                                      {"labels": {f"l{i}": "" for i in range(33)}}, {"annotations": {"a": "x" * 20000}},
                                      {"annotations": {"a": "\x1b[31m"}}])
def test_what_the_owner_may_not_set(student, imageless, metadata):
    is_status(student.post("devices", json=own(student, imageless, **metadata)), 403, "Forbidden", f"metadata.{next(iter(metadata))}"
              if "x" * 99 not in str(metadata) else "metadata")


def test_what_the_owner_may_set(student, imageless):
    answer = student.post("devices", json=own(student, imageless, labels={"group": "mine"}, annotations={"note": "two\nlines"},
                                              managedFields=[{"manager": "x"}], finalizers=[]))
    assert answer.status_code == 201, answer.text
    made = answer.json()["metadata"]
    assert made["labels"] == {"group": "mine"} and made["annotations"] == {"note": "two\nlines"} and "managedFields" not in made
    assert made["finalizers"] == ["open-hydra-server.openhydra.io/environment"]


def test_figures_are_for_administrators(admin, student):
    assert admin.get("/metrics").status_code == 200
    is_status(student.get("/metrics"), 403, "Forbidden")
    is_status(student.get("/metrics/"), 403, "Forbidden")


@pytest.mark.parametrize("spec", [{"deviceGpu": 1}, {"deviceCpu": "2001"}, {"deviceRam": "8193"}])
def test_no_more_than_everybody(student, imageless, spec):
    field = next(iter(spec))
    body = {"metadata": {"name": student.user}, "spec": {"openHydraUsername": student.user, "sandboxName": imageless, **spec}}
    is_status(student.post("devices", json=body), 403, "Forbidden", field)


def test_less_than_everybody(student, imageless):
    body = {"metadata": {"name": student.user}, "spec": {"openHydraUsername": student.user, "sandboxName": imageless,
                                                         "deviceCpu": "500", "deviceRam": "512", "deviceGpu": 0}}
    assert student.post("devices", json=body).status_code == 201


def test_watch_shows_own_alone(hydra, student, other, imageless):
    with Watch(student, "devices", resourceVersion="0") as watch:
        hydra.admin().delete(f"devices/{other}-env")
        hydra.wait_gone(f"{other}-env")
        name = hydra.create_device(student.user, sandboxName=imageless)["metadata"]["name"]
        watch.until_name(name, "ADDED")
        assert all(e["object"]["metadata"]["name"] == name for e in watch.seen), watch.seen
    with Watch(student, "openhydrausers") as watch:
        hydra.create_user(fresh_name())
        merge(hydra.admin(), f"openhydrausers/{student.user}", {"spec": {"description": "seen"}})
        watch.until(lambda t, o: t == "MODIFIED")
        assert all(e["object"]["metadata"]["name"] == student.user for e in watch.seen)


def test_sandboxes_are_to_be_read(student):
    assert "jupyter-lab" in names(student.get("sandboxes"))
    assert student.get("sandboxes/jupyter-lab").status_code == 200
    is_status(student.post("sandboxes", json={"metadata": {"name": fresh_name()}, "spec": {"cpuImageName": "a"}}), 403, "Forbidden")
    is_status(merge(student, "sandboxes/jupyter-lab", {"spec": {"cpuImageName": "evil"}}), 403, "Forbidden")
    is_status(student.delete("sandboxes/jupyter-lab"), 403, "Forbidden")


def test_a_promotion_counts_at_once(hydra, student):
    is_status(student.delete("sandboxes/nobody-here"), 403, "Forbidden")
    assert merge(hydra.admin(), f"openhydrausers/{student.user}", {"spec": {"role": 1}}).status_code == 200
    is_status(student.delete("sandboxes/nobody-here"), 404, "NotFound")
    assert merge(hydra.admin(), f"openhydrausers/{student.user}", {"spec": {"role": 2}}).status_code == 200
    is_status(student.delete("sandboxes/nobody-here"), 403, "Forbidden")


@pytest.mark.parametrize("deed", ["demoted", "new password", "logged out", "deleted"])
def test_what_ends_a_right_ends_its_watches(hydra, other, deed):
    """An open watch tells nothing more once its caller would be refused."""
    name = hydra.create_user(fresh_name("boss"), "password", role=1)["metadata"]["name"]
    boss, admin = hydra.login(name, "password"), hydra.admin()
    with Watch(boss, "openhydrausers", resourceVersion="0") as watch:
        watch.until_name(other)
        {"demoted": lambda: merge(admin, f"openhydrausers/{name}", {"spec": {"role": 2}}),
         "new password": lambda: merge(admin, f"openhydrausers/{name}", {"spec": {"password": "another-one"}}),
         "logged out": lambda: boss.post("/auth/logout"),
         "deleted": lambda: admin.delete(f"openhydrausers/{name}")}[deed]()
        late = hydra.create_user(fresh_name("late"))["metadata"]["name"]
        with Watch(admin, "openhydrausers", resourceVersion="0") as allowed:
            allowed.until_name(late)
        # What is told to one is told to the other at about the same time: a moment more is enough.
        with contextlib.suppress(queue.Empty):
            while watch.next(2) is not None:
                pass
        assert late not in [event["object"]["metadata"].get("name") for event in watch.seen if event]
