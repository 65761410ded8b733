"""A password is set in every way there is, and then searched for in everything that the product writes, says or keeps."""
import base64
import json
import os
import pathlib
import sqlite3
import subprocess
import urllib.parse

import pytest

from support.answers import Watch
from support.instance import Client, Instance, kubectls

# Each way has a marker of its own, so that a find says which one leaked. With characters that JSON and URLs write otherwise.
WAYS = ("create", "apply", "applied-again", "patch", "put", "status", "invalid", "strict", "dry-run", "change", "login", "wrong-login",
        "wrong-user", "old-header", "wrong-old-header", "setup", "passwd", "yaml")


def marker(way):
    return f'Mark-{way}-"/é-{os.getpid()}'


def forms(text):
    """How the text may be written: as it is, escaped in JSON (both ways), in base64 at each of the three offsets, in URLs, in hex."""
    raw = text.encode()
    yield raw
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
        yield json.dumps(json.dumps(text, ensure_ascii=ascii_only))[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].replace("/", "\\/").encode()
    for offset in range(3):
        # Without the characters at either end that depend on what is beside it.
        yield base64.b64encode(b"\0" * offset + raw)[(0, 2, 3)[offset]:-4].rstrip(b"=")
    yield urllib.parse.quote(text, safe="").encode()
    yield raw.hex().encode()
    # What a form that is not listed here would most likely keep.
    yield text.split('"')[0].encode()


NEEDLES = {way: sorted(set(forms(marker(way)))) for way in WAYS}


def leaks(data):
    return [way for way, needles in NEEDLES.items() if any(needle in data for needle in needles)]


def header(name, password):
    return {"Open-Hydra-Auth": "Bearer " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def use_every_way(hydra, said):
    """Sets and sends passwords; collects all that is answered."""
    admin, visitor = hydra.admin(), hydra.visitor()

    def note(answer, *codes):
        assert answer.status_code in codes, f"{answer.status_code} {answer.text}"
        said.append(json.dumps(dict(answer.headers)).encode() + answer.content)
        return answer

    def password(way, **more):
        return {"spec": {"role": 2, "password": marker(way), **more}}
    merge = {"Content-Type": "application/merge-patch+json"}

    note(visitor.post("/auth/setup", json={"code": hydra.setup_code, "username": "teacher", "password": marker("setup")}), 201)
    note(admin.post("openhydrausers", json={"metadata": {"name": "anna"}, **password("create")}), 201)
    note(admin.post("openhydrausers", json={"metadata": {"name": "gone"}, **password("create")}), 201)
    note(admin.delete("openhydrausers/gone"), 200)
    note(admin.post("openhydrausers", data=json.dumps({"metadata": {"name": "yaml"}, **password("yaml")}),
                    headers={"Content-Type": "application/yaml"}), 201)
    # Refused ones are not told again in the refusal.
    note(admin.post("openhydrausers", json={"metadata": {"name": "Wrong"}, "spec": {"role": 7, "password": marker("invalid")}}), 422)
    note(admin.post("openhydrausers", json={"metadata": {"name": "bad"}, "spec": {"role": 2, "password": [marker("invalid")]}}), 422)
    note(admin.post("openhydrausers", data='{"spec":{"password":' + json.dumps(marker("invalid")), headers={"Content-Type": "application/json"}), 400)
    note(admin.post("openhydrausers", params={"fieldValidation": "Strict"}, json={"metadata": {"name": "bad"}, **password("strict", passwort=marker("strict"))}), 400)
    note(admin.post("openhydrausers", params={"dryRun": "All"}, json={"metadata": {"name": "dry"}, **password("dry-run")}), 201)
    note(admin.put("openhydrausers/anna/status", json={"metadata": {"name": "anna"}, **password("status")}), 200)
    note(admin.patch("openhydrausers/anna", data=json.dumps({"spec": {"password": marker("patch")}}), headers=merge), 200)
    note(admin.put("openhydrausers/anna", json={"metadata": {"name": "anna"}, **password("put")}), 200)

    # kubectl apply puts the whole object into an annotation.
    for program in list(kubectls().values())[:1]:
        text = lambda way: json.dumps({"apiVersion": "open-hydra-server.openhydra.io/v1", "kind": "OpenHydraUser", "metadata": {"name": "applied"},
                                       **password(way)})
        for way in ("apply", "apply", "applied-again"):
            hydra.kubectl("apply", "-f", "-", input=text(way), program=program)
        said.append(hydra.kubectl("get", "ohu", "applied", "-o", "yaml", program=program).stdout.encode())
        said.append(hydra.kubectl("diff", "-f", "-", input=text("applied-again"), program=program, check=False).stdout.encode())
        hydra.login("applied", marker("applied-again"))
    # And what a client writes there by hand.
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": {"password": marker("apply"), "x": {"password": marker("apply")}}})}
    note(admin.patch("openhydrausers/anna", data=json.dumps({"metadata": {"annotations": annotation}}), headers=merge), 200)
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": '{"spec":{"password":' + json.dumps(marker("apply"))}
    note(admin.patch("openhydrausers/anna", data=json.dumps({"metadata": {"annotations": annotation}}), headers=merge), 200)

    session = hydra.login("anna", marker("put"))
    answer = note(session.post("/auth/password", json={"currentPassword": marker("put"), "newPassword": marker("change")}), 200)
    session.headers["X-Open-Hydra-Session-Key"] = answer.json()["key"]
    note(session.post("/auth/password", json={"currentPassword": marker("wrong-login"), "newPassword": marker("wrong-login")}), 401, 422)
    note(admin.patch("openhydrausers/anna", data=json.dumps({"spec": {"password": marker("login")}}), headers=merge), 200)
    note(visitor.post("/auth/login", json={"username": "anna", "password": marker("login")}), 200)
    note(visitor.post("/auth/login", json={"username": "anna", "password": marker("wrong-login")}), 401)
    # Typed into the wrong field.
    note(visitor.post("/auth/login", json={"username": marker("wrong-user"), "password": "x"}), 401, 422)
    note(visitor.get("openhydrausers/anna", headers=header("anna", marker("login"))), 200)
    note(visitor.get("openhydrausers/anna", headers=header("anna", marker("wrong-old-header"))), 401)
    note(admin.post("openhydrausers", json={"metadata": {"name": "old"}, **password("old-header")}), 201)
    note(Client(hydra, certificate=False).get("openhydrausers/old", headers=header("old", marker("old-header"))), 200)


    out = subprocess.run(hydra.command("passwd", "old"), input=marker("passwd") + "\n", capture_output=True, text=True, env=hydra.env)
    assert out.returncode == 0, out.stderr
    said.append((out.stdout + out.stderr).encode())
    hydra.login("old", marker("passwd"))

    for path in ("openhydrausers", "openhydrausers/anna", "openhydrausers/anna/status", "/metrics", "/openapi/v3"):
        note(admin.get(path), 200)
    for accept in ("application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"):
        note(admin.get("openhydrausers", headers={"Accept": accept}, params={"includeObject": "Object"} if "Table" in accept else {}), 200)


def files_below(*folders):
    for folder in folders:
        for path in pathlib.Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink() and "workspace" not in path.parts:
                yield path


def processes(hydra):
    """Ours, and all that they started."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                pass
    found, more = set(), {hydra.process.pid}
    while more:
        found |= more
        more = {pid for pid, parent in parents.items() if parent in more} - found
    return found


def test_a_password_is_nowhere():
    said = []
    with Instance(args=["--debug"]) as hydra:
        with Watch(hydra.admin(), "openhydrausers") as users, Watch(hydra.admin(), "openhydrausers", headers={
                "Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}, includeObject="Object") as table:
            use_every_way(hydra, said)
            users.until(lambda t, o: o["metadata"].get("name") == "old")
            hydra.create_user("last-one")
            users.until_name("last-one")
            table.until(lambda t, o: o.get("rows") and o["rows"][0]["cells"][0] == "last-one")
            said += [json.dumps(e).encode() for e in users.seen + table.seen]
            said += [json.dumps(e, ensure_ascii=False).encode() for e in users.seen + table.seen]
        # A watch that reads the log back shows no more than one at the time did.
        with Watch(hydra.admin(), "openhydrausers", resourceVersion="1") as again:
            again.until_name("last-one")
            said += [json.dumps(e, ensure_ascii=False).encode() for e in again.seen]

        found = [("an answer or an event", way) for data in said for way in leaks(data)]
        found += [("the output", way) for way in leaks(hydra.output().encode())]
        for pid in processes(hydra):
            for name in ("cmdline", "environ"):
                try:
                    found += [(f"{name} of {pid}", way) for way in leaks(pathlib.Path(f"/proc/{pid}/{name}").read_bytes())]
                except OSError:
                    pass
        seen = []
        for path in files_below(hydra.data, hydra.runtime):
            seen.append(path.name)
            found += [(str(path), way) for way in leaks(path.read_bytes())]
        assert found == []
        assert "open-hydra.db" in seen and any(name.endswith("-wal") for name in seen), "the search looked where it matters"

        # And once more when all is closed: what the write-ahead log held is in the database now.
        hydra.stop()
        found = [(str(path), way) for path in files_below(hydra.data, hydra.runtime) for way in leaks(path.read_bytes())]
        found += [("the output", way) for way in leaks(hydra.output().encode())]
        assert found == []
        with sqlite3.connect(f"file:{hydra.data}/server/open-hydra.db?mode=ro", uri=True) as database:
            text = "\n".join(database.iterdump())
        # sqlite3 writes out blobs in hexadecimal.
        assert b"$argon2id$".hex().upper() in text and leaks(text.lower().encode()) == leaks(text.encode()) == []


@pytest.mark.parametrize("form", list(range(len(NEEDLES["create"]))))
def test_the_search_finds_what_is_there(form):
    """A search that finds nothing proves something only if it would."""
    assert "create" in leaks(b"before" + NEEDLES["create"][form] + b"after")


def test_it_would_be_found_in_base64():
    assert leaks(base64.b64encode(f"anna:{marker('login')}".encode())) == ["login"]
    assert leaks(base64.b64encode(f"x:{marker('login')}!".encode())) == ["login"]
    assert leaks(json.dumps({"a": json.dumps({"b": marker("apply")})}).encode()) == ["apply"]
