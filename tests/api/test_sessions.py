"""Who is it: login, sessions, tokens, the old header, certificates, the set-up link, throttling."""
import base64
import json
import time

import pytest
import requests

from support.answers import Watch, fresh_name, is_status
from support.instance import Client, Instance, wait_until

KEY = "X-Open-Hydra-Session-Key"


def login(hydra, name, password, **more):
    return hydra.visitor().post("/auth/login", json={"username": name, "password": password, **more})


def old_header(name, password):
    return {"Open-Hydra-Auth": "Bearer " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_nobody(hydra):
    visitor = hydra.visitor()
    assert visitor.get("/auth/session").json() == {"authenticated": False, "setupRequired": False, "authDisabled": False}
    is_status(visitor.get("devices"), 401, "Unauthorized")
    is_status(visitor.post("/auth/password", json={"currentPassword": "a", "newPassword": "b"}), 401, "Unauthorized")


def test_login(hydra, user):
    session = hydra.visitor()
    answer = session.post("/auth/login", json={"username": user, "password": "password"})
    body = answer.json()
    assert body["authenticated"] and body["username"] == user and body["role"] == 2 and body["wellKnownPassword"] is False
    assert body["key"] and "token" not in body
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie and "Secure" in cookie and "Domain" not in cookie
    assert cookie.startswith("__Host-Http-")
    session.headers[KEY] = body["key"]
    again = session.get("/auth/session").json()
    assert again["username"] == user and "key" not in again
    assert session.get(f"openhydrausers/{user}").status_code == 200


@pytest.mark.parametrize("password", ["Password", "password ", "", " ", "password\0x"])
def test_wrong_password(hydra, user, password):
    answer = login(hydra, user, password)
    assert answer.status_code in (401, 422), answer.text
    assert "Set-Cookie" not in answer.headers and answer.json()["kind"] == "Status"


def test_unknown_user_is_told_like_a_wrong_password(hydra, user):
    known, unknown = login(hydra, user, "wrong-one").json(), login(hydra, "nobody-here", "wrong-one").json()
    assert known == unknown


@pytest.mark.parametrize("body", ["", "{", "[]", '{"username":"a"}', '{"username":1,"password":"b"}', '{"username":"a","password":null}'])
def test_bad_login_bodies(hydra, body):
    answer = hydra.visitor().post("/auth/login", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422) and answer.json()["kind"] == "Status", answer.text


def test_cookie_and_key_belong_together(hydra, user):
    session, other = hydra.login(user, "password"), hydra.login(user, "password")
    key = session.headers.pop(KEY)
    is_status(session.get("devices"), 401, "Unauthorized")  # the cookie alone is nobody's
    assert session.get("/auth/session").json()["authenticated"] is False
    session.headers[KEY] = other.headers[KEY]
    is_status(session.get("devices"), 401, "Unauthorized")  # another session's key
    session.headers[KEY] = key
    assert session.get("devices").status_code == 200
    is_status(hydra.visitor().get("devices", headers={KEY: key}), 401, "Unauthorized")  # the key alone
    # A cookie's token is no bearer's.
    token = next(iter(session.cookies)).value
    is_status(hydra.visitor().get("devices", headers={"Authorization": f"Bearer {token}"}), 401, "Unauthorized")


def test_cookie_of_a_hostile_page_beside_ours(hydra, user):
    session, attacker = hydra.login(user, "password"), hydra.login("headmaster", "the-head-knows")
    name, mine = next((c.name, c.value) for c in session.cookies)
    theirs = next(c.value for c in attacker.cookies)
    for cookies in (f"{name}={theirs}; {name}={mine}", f"{name}={mine}; {name}={theirs}"):
        answer = requests.get(hydra.dashboard + "/auth/session", headers={KEY: session.headers[KEY], "Cookie": cookies})
        assert answer.json()["username"] == user


def test_logout(hydra, user):
    session, other = hydra.login(user, "password"), hydra.login(user, "password")
    cookies = {c.name: c.value for c in session.cookies}
    answer = session.post("/auth/logout")
    assert answer.status_code == 204 and "Max-Age=0" in answer.headers["Set-Cookie"]
    is_status(requests.get(hydra.dashboard + "/apis/open-hydra-server.openhydra.io/v1/devices", cookies=cookies, headers={
        KEY: session.headers[KEY], "Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}), 401, "Unauthorized")
    assert other.get("devices").status_code == 200, "the others go on"
    assert hydra.visitor().post("/auth/logout").status_code == 204


@pytest.mark.parametrize("end", ["logout", "password", "delete"])
def test_a_quiet_watch_ends_with_its_right(hydra, admin, user, end):
    session, other = hydra.login(user, "password"), hydra.login(user, "password")
    revision = session.get("sandboxes").json()["metadata"]["resourceVersion"]
    with Watch(session, "sandboxes", resourceVersion=revision) as watch, Watch(admin, "sandboxes", resourceVersion=revision) as going_on:
        if end == "logout":
            session.post("/auth/logout")
        elif end == "password":
            other.post("/auth/password", json={"currentPassword": "password", "newPassword": "a-better-one"})
        else:
            admin.delete(f"openhydrausers/{user}")
        event = watch.until(lambda kind, _: kind == "ERROR")
        assert event["object"]["code"] == 401 and event["object"]["reason"] == "Unauthorized"
        assert watch.next() is None
        name = fresh_name()
        assert admin.post("sandboxes", json={"metadata": {"name": name}, "spec": {"cpuImageName": "a"}}).status_code == 201
        going_on.until_name(name, "ADDED")


def test_bearer(hydra, user):
    answer = login(hydra, user, "password", bearer=True)
    token = answer.json()["token"]
    assert "Set-Cookie" not in answer.headers and "key" not in answer.json()
    headers = {"Authorization": f"Bearer {token}"}
    assert hydra.visitor().get("devices", headers=headers).status_code == 200
    api = Client(hydra, certificate=False)
    assert api.get("devices", headers=headers).status_code == 200
    is_status(api.get("devices", headers={"Authorization": f"Bearer {token}x"}), 401, "Unauthorized")
    assert hydra.visitor().post("/auth/logout", headers=headers).status_code == 204
    is_status(api.get("devices", headers=headers), 401, "Unauthorized")


def test_a_cookie_is_nothing_at_the_apis_port(hydra, user):
    session = hydra.login(user, "password")
    api = Client(hydra, certificate=False)
    cookie = "; ".join(f"{c.name}={c.value}" for c in session.cookies)
    is_status(api.get("devices", headers={"Cookie": cookie, KEY: session.headers[KEY]}), 401, "Unauthorized")


def test_change_of_password(hydra, user):
    session, other = hydra.login(user, "password"), hydra.login(user, "password")
    body = {"currentPassword": "password", "newPassword": "a-better-one"}
    is_status(session.post("/auth/password", json={**body, "currentPassword": "wrong"}), 401, "Unauthorized")
    answer = session.post("/auth/password", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["key"] != session.headers[KEY]
    is_status(session.get("devices"), 401, "Unauthorized")  # the old key
    session.headers[KEY] = answer.json()["key"]
    assert session.get("devices").status_code == 200
    is_status(other.get("devices"), 401, "Unauthorized")
    assert login(hydra, user, "password").status_code == 401 and login(hydra, user, "a-better-one").status_code == 200


@pytest.mark.parametrize("new", ["short12", "openhydra", "x" * 1025, "tab\there-and-more", "password"])
def test_rules_for_new_passwords(hydra, user, new):
    session = hydra.login(user, "password")
    answer = session.post("/auth/password", json={"currentPassword": "password", "newPassword": new})
    is_status(answer, 422, "Invalid", field="newPassword")
    assert session.get("devices").status_code == 200


def test_old_header(hydra, user):
    visitor = hydra.visitor()
    assert visitor.get(f"openhydrausers/{user}", headers=old_header(user, "password")).status_code == 200
    is_status(visitor.get(f"openhydrausers/{user}", headers=old_header(user, "wrong")), 401, "Unauthorized")
    for header in ("nonsense", "Bearer !!", "Bearer " + base64.b64encode(b"nocolon").decode(), "Bearer"):
        is_status(visitor.get("devices", headers={"Open-Hydra-Auth": header}), 401, "Unauthorized")
    assert Client(hydra, certificate=False).get("devices", headers=old_header(user, "password")).status_code == 200


def test_old_header_splits_at_the_first_colon(hydra):
    name = fresh_name()
    hydra.create_user(name, "with:colons:in")
    assert hydra.visitor().get("devices", headers=old_header(name, "with:colons:in")).status_code == 200


def test_old_header_after_a_change(hydra, admin, user):
    """A verified password is remembered, but not beyond its end."""
    headers, visitor = old_header(user, "password"), hydra.visitor()
    assert visitor.get("devices", headers=headers).status_code == 200
    admin.patch(f"openhydrausers/{user}", data='{"spec":{"password":"changed-now"}}', headers={"Content-Type": "application/merge-patch+json"})
    is_status(visitor.get("devices", headers=headers), 401, "Unauthorized")
    assert visitor.get("devices", headers=old_header(user, "changed-now")).status_code == 200
    admin.delete(f"openhydrausers/{user}")
    is_status(visitor.get("devices", headers=old_header(user, "changed-now")), 401, "Unauthorized")


def test_headers_that_nginx_alone_may_set(hydra):
    """A client cannot say by a header that it has a certificate."""
    forged = {"X-Client-Verify": "SUCCESS", "X-Client-Subject": "CN=admin,O=system:masters", "X-Client-Serial": "01",
              "X-Open-Hydra-Listener": "api", "X-Remote-User": "admin", "X-Remote-Group": "system:masters"}
    is_status(hydra.visitor().get("devices", headers=forged), 401, "Unauthorized")
    is_status(Client(hydra, certificate=False).get("devices", headers=forged), 401, "Unauthorized")


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
                                     {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, {"Host": "evil.example:30001"}])
def test_requests_of_other_origins(hydra, user, headers):
    session = hydra.login(user, "password")
    body = {"metadata": {"name": fresh_name()}, "spec": {"openHydraUsername": user}}
    is_status(session.post("devices", params={"dryRun": "All"}, json=body, headers=headers), 403, "Forbidden")
    is_status(session.post("/auth/logout", headers=headers), 403, "Forbidden")
    assert session.get("devices").status_code == 200


def test_an_environments_origin_may_not(hydra, user):
    """Another port of the same host is another origin, and same-site."""
    session = hydra.login(user, "password")
    headers = {"Origin": f"http://127.0.0.1:{hydra.environment_ports[0]}", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
    is_status(session.delete("devices/x", headers=headers), 403, "Forbidden")
    is_status(session.get("devices", headers={"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}), 403, "Forbidden")


def test_at_most_so_many_sessions(hydra, user):
    first = hydra.login(user, "password")
    for _ in range(64):
        assert login(hydra, user, "password", bearer=True).status_code == 200
    is_status(first.get("devices"), 401, "Unauthorized")


def test_methods(hydra):
    visitor = hydra.visitor()
    is_status(visitor.get("/auth/login"), 405, "MethodNotAllowed")
    is_status(visitor.post("/auth/session"), 405, "MethodNotAllowed")
    is_status(visitor.get("/auth/nonsense"), 404, "NotFound")


def test_sessions_outlive_the_server(fresh):
    """A restart logs nobody out."""
    fresh.create_user("anna", role=1)
    session = fresh.login("anna", "password")
    token = login(fresh, "anna", "password", bearer=True).json()["token"]
    gone = fresh.login("anna", "password")
    gone.post("/auth/logout")
    fresh.stop()
    fresh.start()
    assert session.get("devices").status_code == 200
    assert fresh.visitor().get("devices", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    is_status(gone.get("devices"), 401, "Unauthorized")


def test_sessions_end_by_themselves():
    """Used ones last on."""
    with Instance(config={"sessionSeconds": 60, "sessionMaxSeconds": 90}) as hydra:
        hydra.create_user("anna")
        session = hydra.visitor()
        answer = session.post("/auth/login", json={"username": "anna", "password": "password"})
        assert "Max-Age=90;" in answer.headers["Set-Cookie"]
        begun = time.monotonic()
        session.headers[KEY] = answer.json()["key"]
        first = answer.json()["expirationTimestamp"]
        wait_until(lambda: session.get("/auth/session").json()["expirationTimestamp"] > first, every=0.5, what="a later end")
        assert time.monotonic() - begun > 5, "written down once in a tenth of its life"


def test_throttling_by_account(fresh):
    fresh.create_user("anna")
    fresh.create_user("ben")
    for _ in range(5):
        assert login(fresh, "anna", "wrong-password").status_code == 401
    answers = [login(fresh, "anna", "wrong-password") for _ in range(4)]
    refused = next(a for a in answers if a.status_code == 429)
    body = is_status(refused, 429, "TooManyRequests")
    assert int(refused.headers["Retry-After"]) >= 1 and body["details"]["retryAfterSeconds"] >= 1
    # The right one must wait as well, or the wait would tell; another account need not.
    assert login(fresh, "ben", "password").status_code == 200
    deadline = time.monotonic() + 60
    while (answer := login(fresh, "anna", "password")).status_code == 429 and time.monotonic() < deadline:
        time.sleep(int(answer.headers["Retry-After"]))
    assert answer.status_code == 200
    # And is counted with the old header too.
    codes = [fresh.visitor().get("devices", headers=old_header("anna", f"wrong-{i}")).status_code for i in range(12)]
    assert 429 in codes and set(codes) <= {401, 429}


def test_strangers_lock_nobody_out(fresh):
    """Somebody guesses at the same address: whoever has logged in from this browser passes, and other accounts do."""
    for name in ("anna", "ben"):
        fresh.create_user(name)
    session = fresh.login("anna", "password")
    assert session.post("/auth/logout").status_code == 204
    del session.headers[KEY]
    while login(fresh, "anna", "wrong-password").status_code == 401:
        pass
    answer = session.post("/auth/login", json={"username": "anna", "password": "password"})
    assert answer.status_code == 200, answer.text
    assert login(fresh, "ben", "password").status_code == 200


def test_a_class_behind_one_address(fresh):
    """Sixty log in for the first time, at once, where somebody guesses at account after account."""
    from concurrent.futures import ThreadPoolExecutor
    names = [f"student{i}" for i in range(60)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fresh.create_user, names))
    going_on, tried = True, []

    def guess(number):
        while going_on:
            tried.append(login(fresh, f"guessed{number}-{len(tried)}", "wrong-password").status_code)
    with ThreadPoolExecutor(64) as pool:
        guessers = [pool.submit(guess, i) for i in range(4)]
        wait_until(lambda: len(tried) > 70, 120, what="guesses")
        codes = list(pool.map(lambda name: login(fresh, name, "password").status_code, names))
        going_on = False
        for g in guessers:
            g.result()
    assert codes == [200] * 60 and set(tried) <= {401, 429}, codes


def test_names_as_they_are_typed(hydra, user):
    for typed in (user.upper(), f" {user}\n", "".join(chr(ord(c) + 0xfee0) for c in user), f"\u3000{user.title()}\u3000"):
        assert login(hydra, typed, "password\r\n").json().get("username") == user, typed
        assert hydra.visitor().get("devices", headers={"Open-Hydra-Auth": "Bearer " + base64.b64encode(
            f"{typed}:password\n".encode()).decode()}).status_code == 200, typed


# ---- the first administrator ------------------------------------------------------------------------------------

def setup(hydra, **change):
    body = {"code": hydra.setup_code, "username": "teacher", "password": "long-enough", "chineseName": "老师", **change}
    return hydra.visitor().post("/auth/setup", json=body)


def test_setup_link(fresh):
    assert fresh.setup_code and fresh.visitor().get("/auth/session").json()["setupRequired"] is True
    is_status(setup(fresh, code="wrong"), 403, "Forbidden")
    is_status(setup(fresh, username="Teacher"), 422, "Invalid", field="username")
    is_status(setup(fresh, password="short"), 422, "Invalid", field="password")
    is_status(setup(fresh, password="openhydra"), 422, "Invalid", field="password")
    session = fresh.visitor()
    answer = session.post("/auth/setup", json={"code": fresh.setup_code, "username": "teacher", "password": "long-enough"})
    assert answer.status_code == 201 and answer.json()["role"] == 1
    assert "spec.password is not set" not in fresh.output()
    session.headers[KEY] = answer.json()["key"]
    assert session.get("openhydrausers/teacher").json()["spec"]["role"] == 1
    is_status(setup(fresh), 403, "Forbidden")
    is_status(setup(fresh, username="other"), 403, "Forbidden")
    assert fresh.visitor().get("/auth/session").json()["setupRequired"] is False
    fresh.stop()
    fresh.start()
    assert fresh.setup_code is None, "where there is an administrator no link is shown"


def test_setup_link_ends_with_the_first_administrator_by_other_means(fresh):
    fresh.create_user("boss", role=1)
    is_status(setup(fresh), 403, "Forbidden")


def test_setup_once_under_load(fresh):
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda i: setup(fresh, username=f"t{i}").status_code, range(6)))
    assert codes.count(201) == 1 and set(codes) <= {201, 403, 429}
    assert len(fresh.admin().get("openhydrausers").json()["items"]) == 1


def test_auth_disabled():
    with Instance(config={"disableAuth": True}) as hydra:
        assert hydra.setup_code is None
        visitor = hydra.visitor()
        body = visitor.get("/auth/session").json()
        assert body["authenticated"] and body["authDisabled"] and body["role"] == 1 and body["setupRequired"] is False
        answer = visitor.post("openhydrausers", json={"metadata": {"name": "anna"}, "spec": {"role": 2, "password": "password"}})
        assert answer.status_code == 201
        assert Client(hydra, certificate=False).get("openhydrausers").status_code == 200
        assert visitor.get("openhydrausers", headers=old_header("x", "y")).status_code == 200
        # What other origins may not, they may not here either; least of all here.
        is_status(visitor.delete("openhydrausers/anna", headers={"Origin": "http://evil.example"}), 403, "Forbidden")
        is_status(visitor.get("openhydrausers", headers={"Host": "rebound.example"}), 403, "Forbidden")
