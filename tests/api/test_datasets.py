"""Data sets and courses: uploads by form and by tus, former contents, deletion; who may, what is refused, and what is left behind."""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
import time
import urllib.parse
import zipfile

import pytest
from tusclient.client import TusClient

from support.answers import fresh_name, is_status
from support.instance import GROUP, SANITIZERS, Instance, wait_until
from support.processes import children, forget_peak, peak
from support.uploads import PIECE, TUS, content, create, curl, go_on, metadata, offset, patch, send, settled, tarred, zipped

FOLDERS = {"datasets": "public-dataset", "courses": "public-course"}


def own(instance, folder="public-dataset"):
    return instance.data / folder / ".open-hydra"


def nothing_left(instance, folder="public-dataset"):
    """No upload, and nothing half unpacked."""
    wait_until(lambda: not os.listdir(own(instance, folder) / "uploads") and not os.listdir(own(instance, folder) / "new"), 30,
               what="nothing left")


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "words.zip"
    path.write_bytes(zipped(**{"a.txt": "one", "dir/b.txt": "two"}))
    return path


# ---- forms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["datasets", "courses"])
def test_as_the_original_dashboard_sends_it(hydra, admin, archive, kind):
    name = fresh_name("words")
    code, made = curl(hydra, kind, f"file=@{archive}", f"name={name}", "description=For everybody")
    assert code == 201, made
    assert made["metadata"]["name"] == name and made["spec"]["description"] == "For everybody"
    status = made["status"]
    assert (status["phase"], status["files"], status["size"], status["version"]) == ("Ready", 2, 6, 1)
    assert status["checksum"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert status["fileName"] == "words.zip" and made["spec"]["size"] == archive.stat().st_size
    assert made["spec"]["lastUpdate"] == status["lastUpdate"]
    assert content(hydra, name, FOLDERS[kind]) == {"a.txt": "one", "dir/b.txt": "two"}
    nothing_left(hydra, FOLDERS[kind])


def test_fields_of_a_course(hydra, archive):
    name = fresh_name("course")
    code, made = curl(hydra, "courses", f"name={name}", "createdBy=tom", "level=2", "sandboxName=jupyter-lab", f"file=@{archive}")
    assert code == 201, made
    assert made["spec"]["createdBy"] == "tom" and made["spec"]["level"] == 2 and made["spec"]["sandboxName"] == "jupyter-lab"
    code, answer = curl(hydra, "courses", f"name={fresh_name('course')}", "sandboxName=nowhere", f"file=@{archive}")
    assert code == 422 and "Sandbox nowhere not found" in answer["message"]
    code, answer = curl(hydra, "courses", f"name={fresh_name('course')}", "level=high", f"file=@{archive}")
    assert code == 400 and "Failed to parse level" in answer["message"]


def test_replaced_by_a_form(hydra, admin, archive, tmp_path):
    name = fresh_name("words")
    assert curl(hydra, "datasets", f"name={name}", "description=old", f"file=@{archive}")[0] == 201
    other = tmp_path / "other.zip"
    other.write_bytes(zipped(**{"c.txt": "three"}))
    code, made = curl(hydra, f"datasets/{name}", f"file=@{other}", "description=new", method="PUT")
    assert code == 200 and made["status"]["version"] == 2 and made["spec"]["description"] == "new"
    assert content(hydra, name) == {"c.txt": "three"}
    assert [v["version"] for v in made["status"]["versions"]] == [1, 2]
    code, answer = curl(hydra, f"datasets/{fresh_name('nobody')}", f"file=@{other}", method="PUT")
    assert code == 404, answer
    # The description alone.
    code, made = curl(hydra, f"datasets/{name}", "description=newer", method="PUT")
    assert code == 200 and made["spec"]["description"] == "newer" and made["status"]["version"] == 2


def test_forms_that_are_refused(hydra, admin, archive, tmp_path):
    text = tmp_path / "broken.zip"
    text.write_text("this is no zip")
    name = fresh_name("bad")
    cases = [
        ([f"file=@{archive}"], 400, "Dataset name is empty"),
        ([f"name={name}"], 400, "no such file"),
        ([f"name={name}", f"file=@{archive}", f"file=@{archive}"], 400, "more than one file"),
        ([f"name={name}", f"file=@{text}"], 400, ""),
        (["name=not/a name", f"file=@{archive}"], 422, "metadata.name"),
        (["name=.hidden", f"file=@{archive}"], 422, "metadata.name"),
        ([f"name={'名' * 86}", f"file=@{archive}"], 422, "metadata.name"),
        ([f"name={name}", "description=" + "x" * 5000, f"file=@{archive}"], 422, "spec.description"),
    ]
    for fields, code, says in cases:
        got, answer = curl(hydra, "datasets", *fields)
        assert got == code and says in answer["message"], (fields, got, answer)
        assert admin.get(f"datasets/{name}").status_code == 404
        assert not (hydra.data / "public-dataset" / name).exists()
    nothing_left(hydra)
    assert curl(hydra, "datasets", f"name={name}", f"file=@{archive}")[0] == 201
    code, answer = curl(hydra, "datasets", f"name={name}", f"file=@{archive}")
    assert code == 409 and "already exists" in answer["message"]
    # What is sent is no form.
    answer = admin.post("datasets", data=b"--x--", headers={"Content-Type": "multipart/form-data"})
    is_status(answer, 400, "BadRequest", "boundary")
    answer = admin.post("sandboxes", data=b"--x--", headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 415


def test_a_bare_file_and_a_tar(hydra, tmp_path):
    table, name = tmp_path / "table.csv", fresh_name("bare")
    table.write_text("a,b\n")
    assert curl(hydra, "datasets", f"name={name}", f"file=@{table}")[0] == 201
    assert content(hydra, name) == {"table.csv": "a,b\n"}
    packed, name = tmp_path / "packed.tar.gz", fresh_name("tar")
    packed.write_bytes(tarred({"x/课程.txt": "文字".encode()}))
    assert curl(hydra, "datasets", f"name={name}", f"file=@{packed}")[0] == 201
    assert content(hydra, name) == {"x/课程.txt": "文字"}


def test_an_archive_that_breaks_out_is_named(hydra, admin, tmp_path):
    evil, name = tmp_path / "evil.zip", fresh_name("evil")
    evil.write_bytes(zipped(**{"good.txt": "1", "../../outside.txt": "2"}))
    assert curl(hydra, "datasets", f"name={name}", f"file=@{evil}")[0] == 400
    good = tmp_path / "good.zip"
    good.write_bytes(zipped(**{"a.txt": "one"}))
    assert curl(hydra, "datasets", f"name={name}", f"file=@{good}")[0] == 201
    code, answer = curl(hydra, f"datasets/{name}", f"file=@{evil}", method="PUT")
    assert code == 400 and "outside.txt" in answer["message"], answer
    status = admin.get(f"datasets/{name}").json()["status"]
    assert status["phase"] == "Failed" and "outside.txt" in status["message"] and status["version"] == 1
    assert content(hydra, name) == {"a.txt": "one"}


def test_by_whatever_an_administrator_logs_in_with(hydra):
    data = zipped(a="1")
    session = hydra.login("headmaster", "the-head-knows")
    name = fresh_name("session")
    answer = session.post("datasets", files={"file": ("a.zip", data), "name": (None, name), "description": (None, "")})
    assert answer.status_code == 201, answer.text
    send(session, f"datasets/{name}", data, filename="b.zip")
    assert settled(session, f"datasets/{name}")["status"]["version"] == 2
    # As the original's dashboard does: the password with each request.
    old = hydra.visitor()
    old.headers["Open-Hydra-Auth"] = "Bearer " + base64.b64encode(b"headmaster:the-head-knows").decode()
    answer = old.post("courses", files={"file": ("a.zip", data), "name": (None, fresh_name("old"))})
    assert answer.status_code == 201, answer.text
    old.headers["Open-Hydra-Auth"] = "Bearer " + base64.b64encode(b"headmaster:wrong").decode()
    answer = old.post("courses", files={"file": ("a.zip", data), "name": (None, fresh_name("old"))})
    assert answer.status_code == 401, answer.text


# ---- who may -----------------------------------------------------------------------------------------------------------


def test_students_read_and_nothing_else(hydra, admin, user, archive):
    name = fresh_name("words")
    assert curl(hydra, "datasets", f"name={name}", f"file=@{archive}")[0] == 201
    student = hydra.login(user, "password")
    assert student.get(f"datasets/{name}").json()["status"]["phase"] == "Ready"
    assert name in [o["metadata"]["name"] for o in student.get("datasets").json()["items"]]
    data = zipped(a="1")
    assert student.post("datasets", files={"file": ("a.zip", data), "name": (None, fresh_name())}).status_code == 403
    assert student.put(f"datasets/{name}", files={"file": ("a.zip", data)}).status_code == 403
    assert create(student, f"datasets/{name}", 10).status_code == 403
    assert student.head(f"datasets/{name}/upload", headers=TUS).status_code == 403
    assert student.delete(f"datasets/{name}").status_code == 403
    assert student.patch(f"datasets/{name}", json={"spec": {"description": "mine"}},
                         headers={"Content-Type": "application/merge-patch+json"}).status_code == 403
    assert curl(hydra, "datasets", f"name={fresh_name()}", f"file=@{archive}", certificate=False)[0] == 401
    # The status is nobody's but the server's.
    answer = admin.patch(f"datasets/{name}/status", json={"status": {"phase": "Failed"}},
                         headers={"Content-Type": "application/merge-patch+json"})
    is_status(answer, 403, "Forbidden")
    assert content(hydra, name) == {"a.txt": "one", "dir/b.txt": "two"}


def test_what_environments_cannot_read(hydra, archive):
    name = fresh_name("words")
    assert curl(hydra, "datasets", f"name={name}", f"file=@{archive}")[0] == 201
    base = hydra.data / "public-dataset"
    assert stat.S_IMODE((base / ".open-hydra").stat().st_mode) == 0o700
    assert stat.S_IMODE(base.stat().st_mode) & 0o005 == 0o005
    assert stat.S_IMODE((base / name / "dir").stat().st_mode) == 0o755
    assert stat.S_IMODE((base / name / "dir/b.txt").stat().st_mode) == 0o644


# ---- tus ---------------------------------------------------------------------------------------------------------------


def test_in_pieces(admin, hydra):
    name, data = fresh_name("tus"), tarred({"big.bin": os.urandom(300000)})
    answer = create(admin, f"datasets/{name}", len(data), filename="big.tar.gz", description="In pieces")
    assert answer.status_code == 201 and answer.headers["Tus-Resumable"] == "1.0.0", answer.text
    location = answer.headers["Location"]
    assert offset(admin, location) == 0
    assert admin.get(f"datasets/{name}").json()["status"]["phase"] == "Uploading"
    half = len(data) // 2
    answer = patch(admin, location, 0, data[:half])
    assert answer.status_code == 204 and answer.headers["Upload-Offset"] == str(half)
    answer = admin.head(location, headers=TUS)
    assert answer.headers["Upload-Offset"] == str(half) and answer.headers["Upload-Length"] == str(len(data))
    assert answer.headers["Upload-Metadata"] == metadata(filename="big.tar.gz", description="In pieces")
    assert "no-store" in answer.headers["Cache-Control"]
    # A wrong place, a wrong type, a wrong version, a tag of nobody's.
    is_status(patch(admin, location, 0, data[:10]), 409, "Conflict", str(half))
    is_status(patch(admin, location, half + 1, data[:10]), 409, "Conflict")
    is_status(admin.patch(location, data=b"x", headers={**TUS, "Upload-Offset": str(half), "Content-Type": "text/plain"}), 415,
              "UnsupportedMediaType")
    is_status(patch(admin, location, "here", b"x"), 400, "BadRequest", "Upload-Offset")
    assert patch(admin, location, half, b"x", **{"Tus-Resumable": "0.2.2"}).status_code == 412
    assert patch(admin, location.split("?")[0] + "?tag=other", half, b"x").status_code == 404
    assert patch(admin, location, half, data[half:]).status_code == 204
    made = settled(admin, f"datasets/{name}")
    assert made["status"]["checksum"] == hashlib.sha256(data).hexdigest() and made["spec"]["description"] == "In pieces"
    assert (hydra.data / "public-dataset" / name / "big.bin").stat().st_size == 300000
    nothing_left(hydra)
    assert admin.head(location, headers=TUS).status_code == 404


def test_checksums_of_pieces(admin):
    name, data = fresh_name("sum"), zipped(a="1")
    location = create(admin, f"datasets/{name}", len(data), filename="a.zip").headers["Location"]
    right = "sha256 " + base64.b64encode(hashlib.sha256(data[:20]).digest()).decode()
    assert patch(admin, location, 0, data[1:21], **{"Upload-Checksum": right}).status_code == 460
    assert offset(admin, location) == 0
    assert patch(admin, location, 0, data[:20], **{"Upload-Checksum": right}).status_code == 204
    is_status(patch(admin, location, 20, data[20:], **{"Upload-Checksum": "crc32 AAAA"}), 400, "BadRequest", "Upload-Checksum")
    assert patch(admin, location, 20, data[20:]).status_code == 204
    settled(admin, f"datasets/{name}")


def test_more_than_announced(admin):
    name, data = fresh_name("more"), zipped(a="1")
    location = create(admin, f"datasets/{name}", len(data), filename="a.zip").headers["Location"]
    is_status(patch(admin, location, 0, data + b"more"), 400, "BadRequest", "announced")
    assert patch(admin, location, offset(admin, location), data[offset(admin, location):]).status_code in (204, 409)


def test_creations_that_are_refused(admin):
    name = fresh_name("never")
    is_status(admin.post(f"datasets/{name}/upload", headers=TUS), 400, "BadRequest", "Upload-Length")
    is_status(create(admin, f"datasets/{name}", "many"), 400, "BadRequest", "Upload-Length")
    is_status(create(admin, f"datasets/{name}", 1 << 40), 413, "RequestEntityTooLarge", "datasetMaxSize")
    is_status(admin.post(f"datasets/{name}/upload", headers={**TUS, "Upload-Length": "1", "Upload-Metadata": "filename %%%"}), 400,
              "BadRequest", "filename")
    assert create(admin, f"datasets/{name}", 1).status_code == 201
    assert create(admin, "datasets/.hidden", 1).status_code == 422
    assert admin.delete(f"datasets/{name}/upload", headers=TUS).status_code == 204
    assert admin.get(f"datasets/{name}").json()["status"]["phase"] == "Pending"
    assert admin.head(f"datasets/{name}/upload", headers=TUS).status_code == 404
    assert admin.delete(f"datasets/{name}/upload", headers=TUS).status_code == 404


def test_begun_anew(admin):
    name, data = fresh_name("anew"), zipped(a="1")
    old = create(admin, f"datasets/{name}", 100, filename="old.zip").headers["Location"]
    assert patch(admin, old, 0, b"x" * 10).status_code == 204
    new = create(admin, f"datasets/{name}", len(data), filename="new.zip").headers["Location"]
    assert patch(admin, old, 10, b"x").status_code == 404
    assert patch(admin, new, 0, data).status_code == 204
    assert settled(admin, f"datasets/{name}")["status"]["fileName"] == "new.zip"


class Cut:
    """A PATCH that stops half way: its connection stays open, and says nothing more."""

    def __init__(self, instance, location, at, announced, data):
        files = instance.certificate_files()
        context = ssl.create_default_context(cafile=files["ca"])
        context.load_cert_chain(files["crt"], files["key"])
        plain = socket.create_connection(("127.0.0.1", instance.api_port), timeout=60)
        self.socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        head = "".join(f"{key}: {value}\r\n" for key, value in {**PIECE, "Upload-Offset": at, "Content-Length": announced}.items())
        self.socket.sendall(f"PATCH {location} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode() + data)

    def close(self):
        self.socket.close()


def test_a_connection_that_is_cut(hydra, admin):
    name, data = fresh_name("cut"), tarred({"big.bin": os.urandom(3 << 20)})
    location = create(admin, f"datasets/{name}", len(data), filename="a.tar.gz").headers["Location"]
    body = own(hydra) / "uploads" / admin.get(f"datasets/{name}").json()["metadata"]["uid"] / "body"
    first = Cut(hydra, location, 0, len(data), data[:1 << 20])
    wait_until(lambda: body.stat().st_size, 30, what="some of it")
    first.close()
    at = offset(admin, location)
    assert 0 < at <= 1 << 20
    # One that hangs is taken over by whoever asks.
    hanging = Cut(hydra, location, at, len(data) - at, data[at:at + 100000])
    assert at <= offset(admin, location) <= at + 100000
    go_on(admin, location, data)
    hanging.close()
    made = settled(admin, f"datasets/{name}")
    assert made["status"]["checksum"] == hashlib.sha256(data).hexdigest()
    assert (hydra.data / "public-dataset" / name / "big.bin").stat().st_size == 3 << 20


# ---- former contents, deletion -----------------------------------------------------------------------------------------


def set_version(admin, resource, version):
    return admin.patch(resource, json={"spec": {"version": version}}, headers={"Content-Type": "application/merge-patch+json"})


def test_back_to_a_former_content(hydra, admin):
    name = fresh_name("back")
    resource = f"datasets/{name}"
    for text in ("one", "two", "three"):
        send(admin, resource, zipped(**{"a.txt": text}), filename=f"{text}.zip")
        settled(admin, resource)
    assert content(hydra, name) == {"a.txt": "three"}
    assert set_version(admin, resource, 1).status_code == 200
    wait_until(lambda: admin.get(resource).json()["status"]["version"] == 1, 30, what="version 1")
    status = admin.get(resource).json()["status"]
    assert content(hydra, name) == {"a.txt": "one"} and status["fileName"] == "one.zip"
    assert [v["version"] for v in status["versions"]] == [1, 2, 3]
    is_status(set_version(admin, resource, 7), 422, "Invalid", field="spec.version")
    assert set_version(admin, resource, None).status_code == 200
    wait_until(lambda: admin.get(resource).json()["status"]["version"] == 3, 30, what="version 3")
    assert content(hydra, name) == {"a.txt": "three"}
    # An upload is meant to be seen.
    assert set_version(admin, resource, 2).status_code == 200
    wait_until(lambda: admin.get(resource).json()["status"]["version"] == 2, 30, what="version 2")
    send(admin, resource, zipped(**{"a.txt": "four"}), filename="four.zip")
    made = settled(admin, resource)
    assert made["status"]["version"] == 4 and "version" not in made["spec"]
    assert content(hydra, name) == {"a.txt": "four"}


def test_as_many_versions_as_asked_for(hydra, admin):
    name = fresh_name("few")
    resource = f"datasets/{name}"
    assert admin.post("datasets", json={"metadata": {"name": name}, "spec": {"versions": 1}}).status_code == 201
    for text in ("one", "two", "three"):
        send(admin, resource, zipped(**{"a.txt": text}), filename="a.zip")
        settled(admin, resource)
    assert [v["version"] for v in admin.get(resource).json()["status"]["versions"]] == [2, 3]


def test_who_reads_keeps_what_was_opened(hydra, admin):
    name = fresh_name("open")
    send(admin, f"datasets/{name}", zipped(**{"a.txt": "one"}), filename="a.zip")
    settled(admin, f"datasets/{name}")
    with open(hydra.data / "public-dataset" / name / "a.txt") as reader:
        send(admin, f"datasets/{name}", zipped(**{"a.txt": "two"}), filename="a.zip")
        settled(admin, f"datasets/{name}")
        assert reader.read() == "one"
    assert content(hydra, name) == {"a.txt": "two"}


def test_deleted_with_its_content(hydra, admin, archive):
    name = fresh_name("gone")
    assert curl(hydra, "datasets", f"name={name}", f"file=@{archive}")[0] == 201
    kept = hydra.data / "public-dataset" / "by-hand"
    kept.mkdir(exist_ok=True)
    (kept / "x").write_text("mine")
    assert hydra.kubectl("delete", "datasets", name).returncode == 0
    wait_until(lambda: not (hydra.data / "public-dataset" / name).exists(), 30, what="content gone")
    wait_until(lambda: not (own(hydra) / "versions" / name).exists(), 30, what="versions gone")
    wait_until(lambda: not os.listdir(own(hydra) / "trash"), 30, what="trash empty")
    assert (kept / "x").read_text() == "mine"
    # Under the same name, at once.
    assert curl(hydra, "datasets", f"name={name}", f"file=@{archive}")[0] == 201
    assert content(hydra, name) == {"a.txt": "one", "dir/b.txt": "two"}


def test_deleted_while_it_is_uploaded(hydra, admin):
    name, data = fresh_name("gone"), zipped(a="1")
    location = create(admin, f"datasets/{name}", len(data), filename="a.zip").headers["Location"]
    assert patch(admin, location, 0, data[:10]).status_code == 204
    assert admin.delete(f"datasets/{name}").status_code == 200
    assert patch(admin, location, 10, data[10:]).status_code == 404
    nothing_left(hydra)


def test_what_an_administrator_put_there_stays(hydra, admin, archive):
    name = fresh_name("hand")
    folder = hydra.data / "public-dataset" / name
    folder.mkdir()
    (folder / "x").write_text("mine")
    code, answer = curl(hydra, "datasets", f"name={name}", f"file=@{archive}")
    assert code == 409 and "was not uploaded" in answer["message"]
    is_status(create(admin, f"datasets/{name}", 10), 409, "AlreadyExists", "was not uploaded")
    admin.delete(f"datasets/{name}")
    assert content(hydra, name) == {"x": "mine"}


def test_kubectl(hydra, archive):
    name = fresh_name("words")
    assert curl(hydra, "datasets", f"name={name}", "description=For all", f"file=@{archive}")[0] == 201
    assert "Ready" in hydra.kubectl("get", "datasets", name).stdout
    assert "6 B" in hydra.kubectl("get", "xds", name).stdout
    described = hydra.kubectl("describe", "dataset", name).stdout
    assert "words.zip" in described and "For all" in described
    assert hydra.kubectl("get", "courses").returncode == 0


# ---- the command -------------------------------------------------------------------------------------------------------


def upload(instance, *args, **more):
    return subprocess.run([*instance.command("upload"), *args], capture_output=True, text=True, timeout=300, env=instance.env, **more)


def test_the_command(hydra, admin, archive, tmp_path):
    name = fresh_name("cli")
    out = upload(hydra, "dataset", name, str(archive))
    assert out.returncode == 0, out.stdout + out.stderr
    assert "version 1: 2 files, 6 bytes" in out.stdout and hashlib.sha256(archive.read_bytes()).hexdigest() in out.stdout
    broken = tmp_path / "broken.zip"
    broken.write_text("no zip")
    out = upload(hydra, "dataset", name, str(broken))
    assert out.returncode == 1 and "broken.zip" in out.stderr, out.stderr
    assert content(hydra, name) == {"a.txt": "one", "dir/b.txt": "two"}
    assert upload(hydra, "course", name, str(tmp_path)).returncode == 1
    assert upload(hydra, "film", name, str(archive)).returncode == 2
    assert upload(hydra, "dataset", "not/a name", str(archive)).returncode == 2
    assert upload(hydra, "dataset", name).returncode == 2


def test_the_command_goes_on(hydra, admin, tmp_path):
    """What was begun with this very file is not begun anew."""
    name, big = fresh_name("again"), tmp_path / "big.tar.gz"
    data = tarred({"big.bin": os.urandom(2 << 20)})
    big.write_bytes(data)
    st = big.stat()
    print_of = f"{st.st_ino}-{st.st_mtime_ns // 10**9}-{st.st_mtime_ns % 10**9}"
    location = create(admin, f"datasets/{name}", len(data), filename="big.tar.gz", fingerprint=print_of).headers["Location"]
    assert patch(admin, location, 0, data[:1 << 20]).status_code == 204
    out = upload(hydra, "dataset", name, str(big))
    assert out.returncode == 0, out.stdout + out.stderr
    made = admin.get(f"datasets/{name}").json()
    assert made["status"]["checksum"] == hashlib.sha256(data).hexdigest()
    assert admin.head(location, headers=TUS).status_code == 404


# ---- restarts, limits, full disks ----------------------------------------------------------------------------------------


def kill_server(instance):
    pid = instance.child("server")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: instance.child("server") not in (None, pid) and instance.admin().get("/readyz").status_code == 200, 60,
               what="another server")


def test_killed_in_the_middle(fresh):
    admin = fresh.admin()
    send(admin, "datasets/kept", zipped(**{"a.txt": "one"}), filename="a.zip")
    settled(admin, "datasets/kept")
    data = tarred({"big.bin": os.urandom(2 << 20)})
    location = create(admin, "datasets/kept", len(data), filename="big.tar.gz").headers["Location"]
    assert patch(admin, location, 0, data[:1 << 20]).status_code == 204
    hanging = Cut(fresh, location, 1 << 20, len(data) - (1 << 20), data[1 << 20:(1 << 20) + 50000])
    kill_server(fresh)
    hanging.close()
    # What was acknowledged is there, and it goes on.
    assert offset(admin, location) >= 1 << 20
    assert content(fresh, "kept") == {"a.txt": "one"}
    go_on(admin, location, data)
    kill_server(fresh)
    made = settled(admin, "datasets/kept")
    assert made["status"]["checksum"] == hashlib.sha256(data).hexdigest() and made["status"]["version"] == 2
    nothing_left(fresh)
    # A form that was being sent leaves nothing.
    files = fresh.certificate_files()
    sending = subprocess.Popen(
        ["curl", "-sS", "--limit-rate", "100k", "--cacert", files["ca"], "--cert", files["crt"], "--key", files["key"], "-F", "name=never",
         "-F", "file=@/dev/zero;filename=a.bin", f"https://127.0.0.1:{fresh.api_port}{GROUP}/datasets"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: os.listdir(own(fresh) / "uploads"), 30, what="a form")
    kill_server(fresh)
    sending.kill()
    sending.wait()
    nothing_left(fresh)
    assert admin.get("datasets/never").status_code == 404
    # Deleted while nobody was there to remove the content.
    assert admin.delete("datasets/kept").status_code == 200
    kill_server(fresh)
    wait_until(lambda: not (fresh.data / "public-dataset/kept").exists(), 30, what="content gone")


def test_the_command_outlives_the_server(fresh, tmp_path):
    big = tmp_path / "big.bin"
    big.write_bytes(os.urandom(96 << 20))
    sending = subprocess.Popen([*fresh.command("upload"), "dataset", "big", str(big)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, env=fresh.env)
    bodies = own(fresh) / "uploads"
    wait_until(lambda: any(path.stat().st_size > 8 << 20 for path in bodies.glob("*/body")), 60, every=0.005, what="some of it")
    kill_server(fresh)
    said, _ = sending.communicate(timeout=120)
    assert sending.returncode == 0, said
    made = settled(fresh.admin(), "datasets/big")
    assert made["status"]["checksum"] == hashlib.sha256(big.read_bytes()).hexdigest() and made["status"]["version"] == 1
    assert (fresh.data / "public-dataset/big/big.bin").stat().st_size == 96 << 20


def test_as_large_as_the_configuration_says():
    with Instance({"datasetMaxSize": 1 << 20, "courseMaxSize": 3 << 20}) as instance, tempfile.NamedTemporaryFile(suffix=".bin") as f:
        admin = instance.admin()
        f.write(os.urandom(2 << 20))
        f.flush()
        code, answer = curl(instance, "datasets", "name=large", f"file=@{f.name}")
        assert code == 413 and "datasetMaxSize" in answer["message"], answer
        assert admin.get("datasets/large").status_code == 404
        assert curl(instance, "courses", "name=large", f"file=@{f.name}")[0] == 201
        is_status(create(admin, "datasets/large", (1 << 20) + 1), 413, "RequestEntityTooLarge", "datasetMaxSize")
        nothing_left(instance)


def send_zeros(instance, location, at, n):
    sending = Cut(instance, location, at, n, b"")
    for _ in range(n >> 20):
        sending.socket.sendall(bytes(1 << 20))
    assert b" 204 " in sending.socket.recv(4096).split(b"\r\n")[0]
    sending.close()
    assert offset(instance.admin(), location) == at + n


@pytest.mark.root
def test_two_gigabytes_in_eight_megabytes():
    """Server and gateway, whatever is sent."""
    # What the address sanitizer keeps back of freed memory.
    sanitizer = SANITIZERS["ASAN_OPTIONS"] + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    with Instance(env={"ASAN_OPTIONS": sanitizer}) as instance:
        admin = instance.admin()
        size = 2 << 30
        location = create(admin, "datasets/large", size + (256 << 20) + 1, filename="large.bin").headers["Location"]
        # The first fills what its allocator keeps for itself.
        at = 256 << 20
        send_zeros(instance, location, 0, at)
        pids = [instance.child("server"), *children(instance.child("nginx"))]
        before = {pid: forget_peak(pid) for pid in pids}
        began = time.monotonic()
        send_zeros(instance, location, at, size)
        more = sum(peak(pid) - before[pid] for pid in pids)
        print(f"{more} KiB more in all processes, {(size >> 20) / (time.monotonic() - began):.0f} MiB/s")
        assert more < 8 << 10
        assert admin.delete("datasets/large/upload", headers=TUS).status_code == 204
        nothing_left(instance)


@pytest.mark.root
def test_a_full_disk():
    """Refused before it is sent, and while it is; what is there stays, and the database has its room."""
    with tempfile.TemporaryDirectory(prefix="oh-sets-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "sets", folder], check=True)
        try:
            with Instance({"datasetBasePath": folder}) as instance:
                admin = instance.admin()
                send(admin, "datasets/small", zipped(**{"a.txt": "one"}), filename="a.zip")
                settled(admin, "datasets/small")
                is_status(create(admin, "datasets/small", 100 << 20), 507, "InsufficientStorage", folder)
                with tempfile.NamedTemporaryFile(suffix=".bin") as f:
                    f.truncate(100 << 20)
                    code, answer = curl(instance, "datasets", "name=large", f"file=@{f.name}")
                assert code == 507 and folder in answer["message"], answer
                # As an archive it fits, and what is in it does not.
                code, answer = curl(instance, "datasets/small", f"file=@{bomb(instance, 100 << 20)}", method="PUT")
                assert code in (413, 507), answer
                assert pathlib.Path(folder, "small/a.txt").read_text() == "one"
                assert not pathlib.Path(folder, "large").exists()
                wait_until(lambda: shutil.disk_usage(folder).used < 2 << 20, 30, what="room again")
                assert admin.get("/readyz").text == "ok"
                send(admin, "datasets/small", zipped(**{"a.txt": "two"}), filename="a.zip")
                settled(admin, "datasets/small")
        finally:
            subprocess.run(["umount", folder], check=True)


def bomb(instance, size):
    path = instance.home / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("zeros.bin", bytes(size))
    return path


@pytest.mark.root
def test_a_folder_of_roots():
    """As in the seed: `mkdir /mnt/public-dataset`. It stays root's, what was put there by hand too."""
    with tempfile.TemporaryDirectory(prefix="oh-sets-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        hand = pathlib.Path(folder, "by-hand")
        hand.mkdir()
        with Instance({"datasetBasePath": folder}) as instance:
            admin = instance.admin()
            send(admin, "datasets/sent", zipped(**{"a.txt": "one"}), filename="a.zip")
            settled(admin, "datasets/sent")
            st = os.stat(folder)
            assert st.st_uid == 0 and stat.S_IMODE(st.st_mode) == 0o1775
            assert hand.stat().st_uid == 0 and pathlib.Path(folder, "sent").stat().st_uid == st.st_gid != 0
            assert admin.delete("datasets/sent").status_code == 200
            wait_until(lambda: not pathlib.Path(folder, "sent").exists(), 30, what="content gone")
        # A group's folder is nobody's to change.
        os.chown(folder, 0, 12345)
        os.chmod(folder, 0o2770 | 0o005)
        with Instance({"datasetBasePath": folder}) as instance:
            is_status(create(instance.admin(), "datasets/sent", 10), 500, "InternalError", folder)
            wait_until(lambda: "setfacl" in instance.output(), what="the line")
            assert os.stat(folder).st_gid == 12345


def test_json_is_as_large_as_ever(admin):
    """The gateway's larger limit is for what is uploaded."""
    answer = admin.post("datasets", data=json.dumps({"metadata": {"name": "x"}, "spec": {"description": "x" * (4 << 20)}}),
                        headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


# ---- names in any language --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["datasets", "courses"])
def test_a_form_with_a_name_in_chinese(hydra, admin, archive, tmp_path, kind):
    title = "深度学习 " + fresh_name("x")[-6:]
    code, made = curl(hydra, kind, f"name={title}", f"file=@{archive}")
    assert code == 201, made
    name = made["metadata"]["name"]
    assert made["spec"]["folder"] == title and made["spec"]["displayTitle"] == title and name.isascii()
    assert content(hydra, title, FOLDERS[kind]) == {"a.txt": "one", "dir/b.txt": "two"}
    code, answer = curl(hydra, kind, f"name={title}", f"file=@{archive}")
    assert code == 409 and "already exists" in answer["message"]
    # It goes by both.
    quoted = urllib.parse.quote(title)
    assert admin.get(f"{kind}/{quoted}").json()["metadata"]["uid"] == admin.get(f"{kind}/{name}").json()["metadata"]["uid"]
    other = tmp_path / "other.zip"
    other.write_bytes(zipped(**{"c.txt": "three"}))
    code, made = curl(hydra, f"{kind}/{quoted}", f"file=@{other}", method="PUT")
    assert code == 200 and made["metadata"]["name"] == name and made["status"]["version"] == 2
    assert content(hydra, title, FOLDERS[kind]) == {"c.txt": "three"}
    set_version(admin, f"{kind}/{quoted}", 1)
    wait_until(lambda: admin.get(f"{kind}/{name}").json()["status"]["version"] == 1, 30, what="the former content")
    assert content(hydra, title, FOLDERS[kind]) == {"a.txt": "one", "dir/b.txt": "two"}
    assert admin.delete(f"{kind}/{quoted}").status_code == 200
    wait_until(lambda: not (hydra.data / FOLDERS[kind] / title).exists(), 30, what="its content gone")
    assert admin.get(f"{kind}/{name}").status_code == 404
    nothing_left(hydra, FOLDERS[kind])


def test_tus_and_the_command_with_a_name_in_chinese(hydra, admin, archive):
    title = "手写数字 " + fresh_name("x")[-6:]
    quoted = urllib.parse.quote(title)
    send(admin, f"datasets/{quoted}", archive.read_bytes(), filename="a.zip")
    made = settled(admin, f"datasets/{quoted}")
    assert made["spec"]["folder"] == title and content(hydra, title) == {"a.txt": "one", "dir/b.txt": "two"}
    out = upload(hydra, "dataset", title, str(archive))
    assert out.returncode == 0 and out.stdout.startswith("version 2:"), out.stdout + out.stderr
    assert admin.get(f"datasets/{made['metadata']['name']}").json()["status"]["version"] == 2


def test_kubectl_with_names_in_chinese(hydra, admin, tmp_path):
    title = "机器学习 " + fresh_name("x")[-6:]
    manifest = f"apiVersion: open-hydra-server.openhydra.io/v1\nkind: Course\nmetadata: {{name: {title}}}\nspec: {{titles: {{en: Machine learning}}}}\n"
    name = hydra.kubectl("create", "-f", "-", "-o", "name", input=manifest).stdout.strip().partition("/")[2]
    assert hydra.kubectl("get", "course", title, "-o", "jsonpath={.spec.folder}|{.metadata.name}").stdout == f"{title}|{name}"
    assert title in hydra.kubectl("get", "courses").stdout
    hydra.kubectl("patch", "course", title, "--type", "merge", "-p", '{"spec":{"description":"new"}}')
    hydra.kubectl("replace", "-f", "-", input=manifest)
    assert hydra.kubectl("get", "course", name, "-o", "jsonpath={.spec.displayTitle}").stdout in ("", title)
    # For apply, which compares names: one of its own, and the folder said.
    plain = fresh_name("named")
    manifest = f"apiVersion: open-hydra-server.openhydra.io/v1\nkind: Course\nmetadata: {{name: {plain}}}\nspec: {{folder: {title} 2}}\n"
    for _ in range(2):
        hydra.kubectl("apply", "-f", "-", input=manifest)
    answer = admin.patch(f"courses/{plain}", json={"spec": {"folder": "another"}}, headers={"Content-Type": "application/merge-patch+json"})
    is_status(answer, 422, "Invalid", "spec.folder")
    for wanted in (title, plain):
        hydra.kubectl("delete", "course", wanted)


def test_no_two_have_one_folder(hydra, admin, archive):
    title, plain = "图像 " + fresh_name("x")[-6:], fresh_name("plain")
    assert curl(hydra, "datasets", f"name={title}", f"file=@{archive}")[0] == 201
    assert curl(hydra, "datasets", f"name={plain}", f"file=@{archive}")[0] == 201
    for folder in (title, plain):
        answer = admin.post("datasets", json={"metadata": {"name": fresh_name("second")}, "spec": {"folder": folder}})
        is_status(answer, 409, "AlreadyExists", folder)
    for folder in ("a/b", ".open-hydra", "..", "名" * 86):
        answer = admin.post("datasets", json={"metadata": {"name": fresh_name("second")}, "spec": {"folder": folder}})
        is_status(answer, 422, "Invalid", "spec.folder")
    # A course may have it: that is another folder.
    assert admin.post("courses", json={"metadata": {"name": fresh_name("other")}, "spec": {"folder": title}}).status_code == 201
    # What somebody put there by hand is nobody's.
    (hydra.data / "public-dataset/照片").mkdir()
    code, answer = curl(hydra, "datasets", "name=照片", f"file=@{archive}")
    assert code == 409 and "照片 is there already" in answer["message"]


# ---- tus as its clients speak it --------------------------------------------------------------------------------------


def test_what_tus_is_spoken(hydra, admin, user):
    for resource in (f"datasets/{fresh_name('none')}", f"courses/{urllib.parse.quote('没有')}"):
        answer = admin.options(f"{resource}/upload")
        assert answer.status_code == 204, answer.text
        assert answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
        assert set(answer.headers["Tus-Extension"].split(",")) == {"creation", "expiration", "termination", "checksum"}
        assert answer.headers["Tus-Max-Size"] == str(10 << 30) and "sha256" in answer.headers["Tus-Checksum-Algorithm"]
    assert admin.options("datasets").status_code == 405
    assert hydra.login(user, "password").options("datasets/none/upload").status_code == 403


def test_a_real_tus_client(hydra, admin, tmp_path, monkeypatch):
    """tuspy: creates, sends in pieces with a checksum for each, and goes on elsewhere after a cut."""
    files = hydra.certificate_files()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files["ca"]))
    name, path = fresh_name("tuspy"), tmp_path / "数据.tar.gz"
    data = tarred({"big.bin": os.urandom(3 << 20), "a.txt": b"one"})
    path.write_bytes(data)
    url = f"https://127.0.0.1:{hydra.api_port}{GROUP}/datasets/{name}/upload"
    client = TusClient(url, client_cert=(str(files["crt"]), str(files["key"])))
    first = client.uploader(str(path), chunk_size=1 << 20, metadata={"filename": path.name, "description": "数字"}, upload_checksum=True)
    first.upload(stop_at=1 << 20)
    # The connection ends in the middle of the second piece.
    location = first.url.removeprefix(f"https://127.0.0.1:{hydra.api_port}")
    cut = Cut(hydra, location, 1 << 20, len(data) - (1 << 20), data[1 << 20:(1 << 20) + 300000])
    body = own(hydra) / "uploads" / admin.get(f"datasets/{name}").json()["metadata"]["uid"] / "body"
    wait_until(lambda: body.stat().st_size > 1 << 20, 30, what="some of the second piece")
    cut.close()
    rest = client.uploader(str(path), chunk_size=1 << 20, url=first.url, retries=5, retry_delay=1)
    assert rest.offset >= 1 << 20
    rest.upload()
    made = settled(admin, f"datasets/{name}")
    assert made["status"]["checksum"] == hashlib.sha256(data).hexdigest() and made["spec"]["description"] == "数字"
    assert made["status"]["fileName"] == path.name
    assert (hydra.data / "public-dataset" / name / "a.txt").read_text() == "one"
