"""Watches: events, resuming, bookmarks, the start with what is there."""
import json
import socket
import ssl
import threading
import time

import pytest

from support.answers import Watch, fresh_name, is_status
from support.instance import GROUP, wait_until


@pytest.fixture(scope="session")
def hydra(undisturbed):
    return undisturbed


def make(admin, name, **metadata):
    answer = admin.post("sandboxes", json={"metadata": {"name": name, **metadata}, "spec": {"cpuImageName": "a"}})
    assert answer.status_code == 201, answer.text
    return answer.json()


def patch(admin, name, change):
    answer = admin.patch(f"sandboxes/{name}", data=json.dumps(change), headers={"Content-Type": "application/merge-patch+json"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def revision(admin):
    return admin.get("sandboxes").json()["metadata"]["resourceVersion"]


def history(admin, name):
    """Create, change, delete."""
    return [("ADDED", make(admin, name)), ("MODIFIED", patch(admin, name, {"spec": {"home": "/x"}})),
            ("DELETED", admin.delete(f"sandboxes/{name}").json())]


def test_events_as_they_happen(admin):
    with Watch(admin, "sandboxes", resourceVersion=revision(admin)) as watch:
        name = fresh_name()
        done = history(admin, name)
        for kind, answer in done:
            event = watch.until_name(name, kind)
            if kind != "DELETED":
                assert event["object"] == answer
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(done[1][1]["metadata"]["resourceVersion"])
        assert event["object"]["spec"]["home"] == "/x", "the last state"


def test_resume(admin):
    start = revision(admin)
    name = fresh_name()
    history(admin, name)
    with Watch(admin, "sandboxes", resourceVersion=start) as watch:
        events = [watch.until_name(name) for _ in range(3)]
    assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED"]
    # From the middle on: only what came after it.
    with Watch(admin, "sandboxes", resourceVersion=events[0]["object"]["metadata"]["resourceVersion"]) as watch:
        assert [watch.until_name(name)["type"] for _ in range(2)] == ["MODIFIED", "DELETED"]
        assert all(e["type"] != "ADDED" or e["object"]["metadata"]["name"] != name for e in watch.seen)


def test_without_a_revision_it_begins_with_what_is_there(admin, sandbox):
    for params in ({}, {"resourceVersion": "0"}):
        with Watch(admin, "sandboxes", **params) as watch:
            assert watch.until_name(sandbox["metadata"]["name"], "ADDED")["object"] == sandbox
            name = fresh_name()
            make(admin, name)
            watch.until_name(name, "ADDED")


def test_bookmarks_and_the_end(admin, sandbox):
    with Watch(admin, "sandboxes", resourceVersion=revision(admin), allowWatchBookmarks="true", timeoutSeconds=1) as watch:
        events = []
        while (event := watch.next()) is not None:
            events.append(event)
    assert events[-1]["type"] == "BOOKMARK", "the last word says from where to go on"
    assert int(events[-1]["object"]["metadata"]["resourceVersion"]) >= int(sandbox["metadata"]["resourceVersion"])
    assert events[-1]["object"]["kind"] == "Sandbox" and "spec" not in events[-1]["object"]


def test_no_bookmarks_unasked(admin):
    with Watch(admin, "sandboxes", resourceVersion=revision(admin), timeoutSeconds=1) as watch:
        while (event := watch.next()) is not None:
            assert event["type"] != "BOOKMARK"


def test_send_initial_events(admin, sandbox):
    params = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with Watch(admin, "sandboxes", **params) as watch:
        end = watch.until(lambda t, o: t == "BOOKMARK")
        assert end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
        before = [e["object"]["metadata"]["name"] for e in watch.seen if e["type"] == "ADDED"]
        assert sandbox["metadata"]["name"] in before and len(before) == len(set(before))
        name = fresh_name()
        made = make(admin, name)
        assert int(made["metadata"]["resourceVersion"]) > int(end["object"]["metadata"]["resourceVersion"])
        watch.until_name(name, "ADDED")
    is_status(admin.get("sandboxes", params={"watch": "true", "sendInitialEvents": "true"}), 400, "BadRequest",
              "resourceVersionMatch")


def test_headers_come_before_there_is_anything_to_tell(hydra, admin):
    """client-go waits for them, over whatever HTTP it has agreed on: kubectl would hang after a quick delete."""
    files = hydra.certificate_files()
    context = ssl.create_default_context(cafile=files["ca"])
    context.load_cert_chain(files["crt"], files["key"])
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", hydra.api_port), timeout=25) as plain, \
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        assert connection.selected_alpn_protocol() != "h2", "nginx would keep the headers back"
        connection.sendall(f"GET {GROUP}/sandboxes?watch=true&fieldSelector=metadata.name=nobody-here&resourceVersion="
                           f"{revision(admin)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")


def test_bad_revisions(admin):
    now = int(revision(admin))
    is_status(admin.get("sandboxes", params={"watch": "1", "resourceVersion": "x"}), 400, "BadRequest")
    body = is_status(admin.get("sandboxes", params={"watch": "1", "resourceVersion": now + 100000}), 504, "Timeout")
    assert body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    is_status(admin.get("sandboxes", params={"watch": "1", "timeoutSeconds": "soon"}), 400, "BadRequest")


def test_table_events(admin):
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    with Watch(admin, "sandboxes", headers=accept, resourceVersion=revision(admin)) as watch:
        name = fresh_name()
        make(admin, name)
        mine = lambda t, o: o["kind"] == "Table" and o["rows"] and o["rows"][0]["cells"][0] == name
        event = watch.until(mine)
        assert event["type"] == "ADDED"
        assert watch.seen[0]["object"]["columnDefinitions"], "the first one has the columns"
        patch(admin, name, {"spec": {"displayTitle": "new"}})
        event = watch.until(mine)
        assert event["type"] == "MODIFIED" and event["object"]["rows"][0]["cells"][1] == "new"
        assert not event["object"].get("columnDefinitions")
        admin.delete(f"sandboxes/{name}")
        assert watch.until(mine)["type"] == "DELETED"


def test_one_object_alone(admin, sandbox):
    name = sandbox["metadata"]["name"]
    with Watch(admin, "sandboxes", fieldSelector=f"metadata.name={name}", resourceVersion=revision(admin)) as watch:
        make(admin, fresh_name())
        patch(admin, name, {"spec": {"home": "/y"}})
        assert watch.next()["object"]["metadata"]["name"] == name


def test_objects_begin_and_cease_to_match(admin):
    mark, name = fresh_name("mark"), fresh_name()
    with Watch(admin, "sandboxes", labelSelector=f"mark={mark}", resourceVersion=revision(admin)) as watch:
        make(admin, name)
        patch(admin, name, {"metadata": {"labels": {"mark": mark}}})
        patch(admin, name, {"spec": {"home": "/z"}})
        last = patch(admin, name, {"metadata": {"labels": {"mark": None}}, "spec": {"home": "/secret"}})
        events = [watch.next() for _ in range(3)]
        assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED"]
        assert events[2]["object"]["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"]
        assert events[2]["object"]["spec"]["home"] == "/z", "nothing is told of the state that no longer matches"
        patch(admin, name, {"metadata": {"labels": {"mark": mark}}})
        assert watch.next()["type"] == "ADDED"
        admin.delete(f"sandboxes/{name}")
        assert watch.next()["type"] == "DELETED"


def test_many_watchers_see_all_in_order(hydra, admin):
    """Several watches, started at different moments, under writes from several clients: each change once and in order."""
    mark, start = fresh_name("mark"), revision(admin)

    def write(worker):
        client = hydra.admin()
        for i in range(20):
            make(client, f"{mark}-{worker}-{i}", labels={"mark": mark})
            patch(client, f"{mark}-{worker}-{i}", {"spec": {"home": f"/{i}"}})

    watches = [Watch(admin, "sandboxes", labelSelector=f"mark={mark}", resourceVersion=start) for _ in range(5)]
    writers = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    for writer in writers:
        writer.start()
    watches.append(Watch(admin, "sandboxes", labelSelector=f"mark={mark}", resourceVersion=start))
    for writer in writers:
        writer.join()
    watches.append(Watch(admin, "sandboxes", labelSelector=f"mark={mark}", resourceVersion=start))
    seen = []
    for watch in watches:
        seen.append([watch.next() for _ in range(160)])
        watch.close()
    revisions = [int(e["object"]["metadata"]["resourceVersion"]) for e in seen[0]]
    assert revisions == sorted(set(revisions))
    assert all(one == seen[0] for one in seen[1:])


def test_watches_end_when_clients_go(admin):
    """The server notices, without an event, that a watcher has gone."""
    def watchers():
        for line in admin.get("/metrics").text.splitlines():
            if "watch" in line and "sandboxes" in line and not line.startswith("#") and "_total" not in line \
                    and "_bucket" not in line and "_sum" not in line and "_count" not in line:
                return float(line.rsplit(" ", 1)[1])
        return None
    if watchers() is None:
        pytest.skip("no metric of the watches")
    # Those of the tests before may be about to go.
    before = watchers()
    while (now := time.sleep(1) or watchers()) != before:
        before = now
    watches = [Watch(admin, "sandboxes", resourceVersion=revision(admin)) for _ in range(10)]
    wait_until(lambda: watchers() >= before + 10, what="ten more watchers")
    for watch in watches:
        watch.close()
    wait_until(lambda: watchers() <= before, what="watchers gone")
