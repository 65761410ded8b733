"""Device: one for each user, what is given to it, what may be changed. None of these starts a container."""
import json

import pytest

from support.answers import fresh_name, is_status, warnings
from support.instance import Instance, wait_until

FINALIZER = "open-hydra-server.openhydra.io/environment"


def make(admin, name, user, **spec):
    return admin.post("devices", json={"metadata": {"name": name}, "spec": {"openHydraUsername": user, **spec}})


def patch(admin, name, change):
    return admin.patch(f"devices/{name}", data=json.dumps(change), headers={"Content-Type": "application/merge-patch+json"})


def test_create(hydra, admin, user, imageless):
    name = fresh_name("env")
    answer = make(admin, name, user, sandboxName=imageless, ideType="x")
    assert answer.status_code == 201
    made = answer.json()
    assert made["metadata"]["finalizers"] == [FINALIZER]
    port = made["status"]["port"]
    assert hydra.environment_ports[0] <= port <= hydra.environment_ports[1]
    assert made["status"]["urls"] == [f"http://127.0.0.1:{port}"], "the address is there from the first moment"
    assert made["status"]["phase"] == "Queued" and made["status"]["reason"] and made["status"]["message"]
    assert made["spec"]["deviceStatus"] == "Pending" and made["spec"]["jupyterLabUrl"] == made["spec"]["sandboxURLs"] == made["status"]["urls"][0]
    assert made["spec"]["role"] == 2 and made["spec"]["deviceType"] == "cpu"
    assert made["status"]["hostId"] % 65536 == 0 and made["status"]["sandboxName"] == imageless


def test_the_image_is_missing(hydra, admin, device):
    """What cannot start says why, is no container, and can be deleted."""
    name = device["metadata"]["name"]
    failed = hydra.wait_phase(name, "Failed")
    assert failed["status"]["reason"] and "nowhere" in failed["status"]["message"], failed["status"]
    assert failed["spec"]["deviceStatus"] == "Failed"
    assert any(c["type"] == "Ready" and c["status"] == "False" and c["lastTransitionTime"] for c in failed["status"]["conditions"])
    assert admin.delete(f"devices/{name}").json()["metadata"]["deletionTimestamp"]
    hydra.wait_gone(name)


def test_one_for_each_user(admin, user, device, imageless):
    for name in (fresh_name(), device["metadata"]["name"]):
        answer = make(admin, name, user, sandboxName=imageless)
        is_status(answer, 409, "AlreadyExists", f'"{device["metadata"]["name"]}"')


def test_one_for_each_user_under_load(hydra, user, imageless):
    """Of many at once exactly one is made."""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda i: make(hydra.admin(), f"{user}-{i}", user, sandboxName=imageless).status_code, range(16)))
    assert sorted(codes) == [201] + [409] * 15


@pytest.mark.parametrize("spec,field", [({"openHydraUsername": "nobody-here"}, "spec.openHydraUsername"), ({}, "spec.openHydraUsername"),
                                        ({"sandboxName": "nowhere"}, "spec.sandboxName"),
                                        ({"deviceCpu": "two"}, "spec.deviceCpu"), ({"deviceCpu": "1"}, "spec.deviceCpu"),
                                        ({"deviceRam": "8Gi"}, "spec.deviceRam"), ({"deviceRam": "1"}, "spec.deviceRam"),
                                        ({"deviceGpu": 256}, "spec.deviceGpu"), ({"deviceGpu": -1}, "spec.deviceGpu"),
                                        ({"language": "zh_CN.UTF-8"}, "spec.language")])
def test_bad_fields(admin, user, spec, field):
    full = {"openHydraUsername": user, **spec} if spec else {}
    is_status(admin.post("devices", json={"metadata": {"name": fresh_name()}, "spec": full}), 422, "Invalid", field=field)


@pytest.mark.parametrize("change", [{"openHydraUsername": "headmaster"}, {"sandboxName": "jupyter-lab"}, {"deviceCpu": "1000"},
                                    {"deviceRam": "1024"}, {"deviceGpu": 1}, {"ideType": "vscode"}, {"gpuDriver": "a/b"}, {"language": "zh-CN"},
                                    {"safeMode": True}])
def test_immutable(admin, device, change):
    body = is_status(patch(admin, device["metadata"]["name"], {"spec": change}), 422, "Invalid", field=f"spec.{next(iter(change))}")
    assert "immutable" in json.dumps(body) and "delete" in json.dumps(body), "it says what to do instead"


def test_output_fields_are_ignored(admin, user, imageless):
    answer = make(admin, fresh_name(), user, sandboxName=imageless, jupyterLabUrl="http://evil", deviceStatus="Running", role=1, deviceIP="1.2.3.4")
    assert answer.status_code == 201
    made = answer.json()
    assert made["spec"]["deviceStatus"] == "Pending" and "evil" not in answer.text and made["spec"]["role"] == 2
    assert "deviceIP" not in made["spec"]
    name, generation = made["metadata"]["name"], made["metadata"]["generation"]
    changed = patch(admin, name, {"spec": {"jupyterLabUrl": None, "vsCodeUrl": "http://evil", "sandboxURLs": "x"}}).json()
    assert changed["spec"]["jupyterLabUrl"] == made["spec"]["jupyterLabUrl"] and "evil" not in json.dumps(changed)
    assert changed["metadata"]["generation"] == generation


def test_kept_without_an_effect(admin, user, imageless):
    answer = make(admin, fresh_name(), user, sandboxName=imageless, usePublicDataSet=True, affinity={"nodeAffinity": {"x": [1]}},
                  openHydraProjectId="p", gpuDriver="nvidia.com/gpu")
    assert answer.status_code == 201
    for field in ("usePublicDataSet", "affinity", "openHydraProjectId", "gpuDriver"):
        assert field in answer.json()["spec"]
        assert any(f"spec.{field}" in w and "no effect" in w for w in warnings(answer)), (field, answer.headers)
    assert answer.json()["spec"]["affinity"] == {"nodeAffinity": {"x": [1]}}


def test_labels_may_change(admin, device):
    answer = patch(admin, device["metadata"]["name"], {"metadata": {"labels": {"class": "7b"}}})
    assert answer.status_code == 200 and answer.json()["metadata"]["labels"] == {"class": "7b"}
    names = [i["metadata"]["name"] for i in admin.get("devices", params={"labelSelector": "class=7b"}).json()["items"]]
    assert names == [device["metadata"]["name"]]


def test_runners_private_subresource(admin, device):
    name = device["metadata"]["name"]
    for method in ("GET", "PUT", "POST"):
        answer = admin.request(method, f"devices/{name}/endpoint", json={})
        assert answer.status_code in (403, 404, 405), answer.text


def test_what_the_server_gave_is_not_to_be_changed_by_status(admin, device):
    name = device["metadata"]["name"]
    answer = admin.patch(f"devices/{name}/status", data='{"status":{"port":1,"hostId":0,"urls":["http://evil"],"sandboxName":"x"}}',
                         headers={"Content-Type": "application/merge-patch+json"})
    assert answer.status_code == 200
    for key in ("port", "hostId", "urls", "sandboxName"):
        assert answer.json()["status"][key] == device["status"][key]


def test_log_and_ticket_before_there_is_anything(admin, hydra, device):
    hydra.wait_phase(device["metadata"]["name"], "Failed")
    answer = admin.get(f"devices/{device['metadata']['name']}/log")
    assert answer.status_code == 404 and answer.json()["kind"] == "Status", answer.text
    is_status(admin.get(f"devices/{device['metadata']['name']}/log", params={"tailLines": "x"}), 400, "BadRequest", "tailLines")
    is_status(admin.get("devices/nobody-here/log"), 404, "NotFound")
    is_status(admin.post("devices/nobody-here/ticket"), 404, "NotFound")


def test_port_and_host_ids_stay_the_users(hydra, admin, user, imageless):
    first = hydra.create_device(user, sandboxName=imageless)
    admin.delete(f"devices/{user}")
    hydra.wait_gone(user)
    other = hydra.create_user(fresh_name())["metadata"]["name"]
    others = hydra.create_device(other, sandboxName=imageless)
    again = hydra.create_device(user, name=fresh_name(), sandboxName=imageless)
    assert again["status"]["port"] == first["status"]["port"] != others["status"]["port"]
    assert again["status"]["hostId"] == first["status"]["hostId"] != others["status"]["hostId"]


def test_create_over_a_terminating_one(hydra, admin, user, device, imageless):
    name = device["metadata"]["name"]
    # Held for the moment of this test by a second finalizer.
    assert patch(admin, name, {"metadata": {"finalizers": [FINALIZER, "test.example.io/hold"]}}).status_code == 200
    gone = admin.delete(f"devices/{name}").json()
    assert gone["status"]["phase"] == "Stopping" and gone["spec"]["deviceStatus"] == "Terminating"
    assert "jupyterLabUrl" not in gone["spec"] and gone["spec"]["sandboxURLs"] == ""
    is_status(make(admin, name, user, sandboxName=imageless), 409, "AlreadyExists", "is being deleted")
    wait_until(lambda: admin.get(f"devices/{name}").json()["metadata"]["finalizers"] == ["test.example.io/hold"], 60, what="runner done")
    held = admin.get(f"devices/{name}").json()
    assert held["status"]["phase"] == "Stopped" and "test.example.io/hold" in held["status"]["message"], held["status"]
    assert patch(admin, name, {"metadata": {"finalizers": []}}).status_code == 200
    hydra.wait_gone(name)
    assert make(admin, name, user, sandboxName=imageless).status_code == 201


def test_range_used_up():
    """A reason in the status, not an error; and a port that a deleted user had is given again."""
    with Instance(environments=2) as hydra:
        admin = hydra.admin()
        assert admin.post("sandboxes", json={"metadata": {"name": "none"}, "spec": {
            "cpuImageName": "localhost/open-hydra/nowhere:none", "socket": "/run/s"}}).status_code == 201
        made = []
        for name in ("a", "b", "c"):
            hydra.create_user(name)
            made.append(hydra.create_device(name, sandboxName="none"))
        assert {made[0]["status"]["port"], made[1]["status"]["port"]} == set(hydra.environment_ports)
        assert made[2]["status"]["reason"] == "PortsExhausted" and "environmentListen" in made[2]["status"]["message"]
        assert made[2]["status"]["urls"] == [] and made[2]["status"]["port"] == 0
        admin.delete("openhydrausers/a")
        wait_until(lambda: admin.get("openhydrausers/a").status_code == 404, 60, what="a gone")
        # The one that waits gets it, and goes on its way.
        freed = made[0]["status"]["port"]
        waiting = wait_until(lambda: (d := admin.get("devices/c").json())["status"]["port"] == freed and d, 60, what="port given")
        assert waiting["status"]["urls"] == [f"http://127.0.0.1:{freed}"]
        assert waiting["spec"]["jupyterLabUrl"] == waiting["status"]["urls"][0]
        wait_until(lambda: admin.get("devices/c").json()["status"]["reason"] == "ImageMissing", 60, what="taken up")
        admin.delete("devices/c")
        hydra.wait_gone("c")
        assert hydra.create_device("c", sandboxName="none")["status"]["port"] == freed


def test_port_of_another_program_is_left_out():
    import socket
    hydra = Instance(environments=2)
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", hydra.environment_ports[0]))
        held.listen()
        with hydra:
            assert "left out" in hydra.output()
            hydra.admin().post("sandboxes", json={"metadata": {"name": "none"}, "spec": {"cpuImageName": "localhost/no:no", "socket": "/run/s"}})
            hydra.create_user("a")
            assert hydra.create_device("a", sandboxName="none")["status"]["port"] == hydra.environment_ports[1]


# ---- several addresses --------------------------------------------------------------------------------------------------


def sandbox_of(admin, name, **spec):
    answer = admin.post("sandboxes", json={"metadata": {"name": name}, "spec": {"cpuImageName": "localhost/nowhere:1", **spec}})
    assert answer.status_code == 201, answer.text


def ticket(admin, device, port):
    return admin.post(f"devices/{device}/ticket", json={"spec": {"port": port}})


def test_each_port_has_an_address_of_its_own(hydra, admin):
    """In the sandbox's order, the first of them the user's one from before and after."""
    sandbox, user = fresh_name("several"), hydra.create_user(fresh_name("many"))["metadata"]["name"]
    sandbox_of(admin, sandbox, socket="/run/a/s", ports=[8888, {"name": "app", "port": 5000}])
    made = make(admin, user, user, sandboxName=sandbox).json()
    ports = made["status"]["ports"]
    assert [p["name"] for p in ports] == ["main", "port-0", "app"] and made["status"]["port"] == ports[0]["port"]
    assert len({p["port"] for p in ports}) == 3
    assert made["status"]["urls"] == [f"http://127.0.0.1:{p['port']}" for p in ports]
    assert made["spec"]["sandboxURLs"] == ",".join(made["status"]["urls"])
    for port in ports:
        answer = ticket(admin, user, port["port"])
        assert answer.status_code == 201 and answer.json()["status"]["url"].startswith(f"http://127.0.0.1:{port['port']}/"), answer.text
    is_status(ticket(admin, user, hydra.dashboard_port), 422, "Invalid", field="spec.port")
    for wrong in (0, 65536, "31000", -1, 1.5):
        is_status(ticket(admin, user, wrong), 422, "Invalid", field="spec.port")
    assert admin.post(f"devices/{user}/ticket").json()["status"]["url"].startswith(made["status"]["urls"][0] + "/")
    # What the runner writes changes none of it.
    hydra.wait_phase(user, "Failed")
    after = hydra.device(user)
    assert after["status"]["ports"] == ports and after["status"]["urls"] == made["status"]["urls"]
    assert admin.delete(f"devices/{user}").status_code == 200
    hydra.wait_gone(user)
    # They stay the user's; with a sandbox that has one, there is the first alone.
    again = make(admin, user, user, sandboxName=sandbox).json()
    assert again["status"]["ports"] == ports
    admin.delete(f"devices/{user}")
    hydra.wait_gone(user)
    sandbox_of(admin, f"{sandbox}-1", ports=[80])
    one = make(admin, user, user, sandboxName=f"{sandbox}-1").json()
    assert one["status"]["port"] == ports[0]["port"] and "ports" not in one["status"] and len(one["status"]["urls"]) == 1
    admin.delete(f"devices/{user}")
    hydra.wait_gone(user)
