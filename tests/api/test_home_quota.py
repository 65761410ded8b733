"""A user's own quota: who may set it, what it may be, and that the runner is told by the user's device."""
import datetime
import json

import pytest

from support.answers import fresh_name, is_status
from support.instance import GROUP, Instance, wait_until

MERGE = {"Content-Type": "application/merge-patch+json"}
GIB = 1 << 30


def change(client, path, value, **kwargs):
    return client.patch(path, data=json.dumps(value), headers=MERGE, **kwargs)


def quota_of_device(admin, name):
    return admin.get(f"devices/{name}").json()["status"].get("homeQuotaBytes")


@pytest.mark.parametrize("value,message", [("20 Gi", "an amount of bytes"), ("-1", "an amount of bytes"), ("Gi", "an amount of bytes"),
                                           ("", "an amount of bytes"), ("1000", "an amount of bytes"), ("9Pi", "an amount of bytes"),
                                           ("1.5.5Gi", "an amount of bytes"), ("99999999999999999999", "an amount of bytes"),
                                           (20, "string"), (["20Gi"], "string"), ("1" * 25, "24")])
def test_what_it_may_be(admin, user, value, message):
    for answer in (change(admin, f"openhydrausers/{user}", {"spec": {"homeQuota": value}}),
                   admin.post("openhydrausers", json={"metadata": {"name": fresh_name()}, "spec": {"role": 2, "homeQuota": value}})):
        body = is_status(answer, 422, "Invalid", field="spec.homeQuota")
        assert message in body["details"]["causes"][0]["message"]
    assert "homeQuota" not in admin.get(f"openhydrausers/{user}").json()["spec"]


def test_only_an_administrator_sets_it(hydra, user):
    answer = hydra.login(user, "password").patch(f"{GROUP}/openhydrausers/{user}", data=json.dumps({"spec": {"homeQuota": "20Gi"}}), headers=MERGE)
    is_status(answer, 403, "Forbidden")


def test_the_device_says_it(hydra, admin, user, imageless):
    """From the first moment, after each change, and whatever the runner writes."""
    assert change(admin, f"openhydrausers/{user}", {"spec": {"homeQuota": "1.5Gi"}}).status_code == 200
    hydra.create_device(user, sandboxName=imageless)
    assert quota_of_device(admin, user) == GIB * 3 // 2
    for value, expected in (("20Gi", 20 * GIB), ("0", 0), ("1G", 10 ** 9), (None, None), ("2Gi", 2 * GIB)):
        assert change(admin, f"openhydrausers/{user}", {"spec": {"homeQuota": value}}).status_code == 200
        assert quota_of_device(admin, user) == expected
    assert change(admin, f"openhydrausers/{user}", {"spec": {"description": "as before"}}).status_code == 200
    assert change(admin, f"devices/{user}/status", {"status": {"homeQuotaBytes": 1}}).status_code == 200
    assert quota_of_device(admin, user) == 2 * GIB
    assert change(admin, f"openhydrausers/{user}?dryRun=All", {"spec": {"homeQuota": "3Gi"}}).status_code == 200
    assert quota_of_device(admin, user) == 2 * GIB


def test_the_most_that_one_may_have():
    with Instance({"homeQuota": "1Gi", "maxHomeQuota": "2Gi"}) as instance:
        admin = instance.admin()
        for value, code in (("2Gi", 201), ("2049Mi", 422), ("0", 422), ("512Mi", 201)):
            answer = admin.post("openhydrausers", json={"metadata": {"name": fresh_name()}, "spec": {"role": 2, "homeQuota": value}})
            assert answer.status_code == code, answer.text
            assert code == 201 or "maxHomeQuota" in answer.text


def test_metrics():
    """Of what the runner writes; also after the next start of the server, and not of those who are gone."""
    def said(instance):
        lines = dict(line.rsplit(" ", 1) for line in instance.admin().get("/metrics").text.splitlines() if line.startswith("open_hydra_homes"))
        return [int(lines["open_hydra_homes_used_bytes"]), *(int(lines[f'open_hydra_homes{{quota="{state}"}}'])
                                                             for state in ("within", "nearly_full", "over"))]
    with Instance() as instance:
        admin = instance.admin()
        assert said(instance) == [0, 0, 0, 0]
        assert admin.post("sandboxes", json={"metadata": {"name": "none"}, "spec": {"cpuImageName": "localhost/a/b:c", "socket": "/run/s"}}).status_code == 201
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")  # it is long until the runner looks again
        for name, used, quota in (("a", 89, 100), ("b", 90, 100), ("c", 101, 100), ("d", 1000, 0)):
            instance.create_user(name, homeQuota=f"{quota}Mi")
            instance.create_device(name, sandboxName="none")
            storage = {"usedBytes": used << 20, "files": 1, "quotaBytes": quota << 20, "measuredAt": now, "enforced": False, "partial": False}
            assert change(admin, f"devices/{name}/status", {"status": {"storage": storage}}).status_code == 200
        assert said(instance) == [1280 << 20, 2, 1, 1]
        instance.stop()
        instance.start()
        assert said(instance) == [1280 << 20, 2, 1, 1]
        assert instance.admin().delete("devices/d").status_code == 200
        wait_until(lambda: said(instance) == [280 << 20, 1, 1, 1], what="it is gone")
