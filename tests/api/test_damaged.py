"""What lies damaged on the disk: it is named, stops nobody, and can be deleted."""
from support import database
from support.answers import is_status
from support.instance import GROUP, wait_until

IMAGELESS = {"metadata": {"name": "imageless"},
             "spec": {"cpuImageName": "localhost/open-hydra/nowhere:none", "socket": "/run/open-hydra/environment.sock"}}


def test_one_damaged_device_stops_nobody(fresh):
    assert fresh.admin().post("sandboxes", json=IMAGELESS).status_code == 201
    for name in ("ann", "bob"):
        fresh.create_user(name)
    fresh.create_device("ann", sandboxName="imageless")
    fresh.stop()
    database.cut_off(fresh, "devices", "ann")
    fresh.start()
    assert 'devices "ann" is damaged and set aside' in fresh.output()
    admin = fresh.admin()
    assert admin.get("devices").json()["items"] == []
    assert "1 damaged object set aside" in admin.get("/readyz?verbose").text
    # The runner goes on: it looks for the image of the next one.
    fresh.create_device("bob", sandboxName="imageless")
    wait_until(lambda: fresh.device("bob")["status"].get("reason") == "ImageMissing", 60, what="the runner at work")
    is_status(admin.get("devices/ann"), 500, "InternalError", "is damaged and was set aside")
    is_status(fresh.login("ann", "password").get(f"{GROUP}/devices/ann"), 404, "NotFound")
    assert admin.delete("devices/ann").status_code == 200
    is_status(admin.get("devices/ann"), 404, "NotFound")
    # Nothing of it holds its owner back.
    fresh.create_device("ann", sandboxName="imageless")


def test_one_damaged_user_stops_nobody(fresh):
    for name in ("ann", "bob"):
        fresh.create_user(name)
    fresh.stop()
    database.cut_off(fresh, "openhydrausers", "ann")
    fresh.start()
    fresh.login("bob", "password")
    assert fresh.visitor().post("/auth/login", json={"username": "ann", "password": "password"}).status_code == 401
    assert fresh.admin().delete("openhydrausers/ann").status_code == 200
    fresh.create_user("ann", password="another-one")
    fresh.login("ann", "another-one")
