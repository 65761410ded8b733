"""Uploads as clients send them: forms by curl, as the original's dashboard has them, and tus by hand."""
import base64
import io
import json
import shutil
import subprocess
import tarfile
import zipfile

from support.instance import GROUP, wait_until

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


def zipped(**files):
    """A zip with these files: name → text."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, text in files.items():
            z.writestr(name, text)
    return out.getvalue()


def tarred(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def curl(instance, resource, *fields, method="POST", timeout=300, certificate=True):
    """`curl -F …`: status and text."""
    files = instance.certificate_files()
    identity = ["--cert", files["crt"], "--key", files["key"]] if certificate else []
    out = subprocess.run(
        [shutil.which("curl"), "-sS", "-X", method, "--cacert", files["ca"], *identity, "-w", "\n%{http_code}", "--max-time", str(timeout),
         *[part for field in fields for part in ("-F", field)], f"https://127.0.0.1:{instance.api_port}{GROUP}/{resource}"],
        capture_output=True, text=True, timeout=timeout + 30)
    assert out.returncode == 0, out.stderr
    text, _, code = out.stdout.rpartition("\n")
    return int(code), json.loads(text) if text else None


def metadata(**pairs):
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


def create(session, resource, length, **pairs):
    """POST of tus: the answer."""
    headers = {**TUS, "Upload-Length": str(length)}
    if pairs:
        headers["Upload-Metadata"] = metadata(**pairs)
    return session.post(f"{resource}/upload", headers=headers)


def patch(session, location, offset, data, **headers):
    """On a connection of its own: the gateway ends the one of a body that it did not want, and says so to nobody."""
    headers["Connection"] = "close"
    return session.patch(location, data=data, headers={**PIECE, "Upload-Offset": str(offset), **headers})


def offset(session, location):
    answer = session.head(location, headers=TUS)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["Upload-Offset"])


def go_on(session, location, data):
    """As clients do after a cut, until it is all there: what was on its way may still come, and takes the place away."""
    def step():
        at = offset(session, location)
        answer = patch(session, location, at, data[at:])
        assert answer.status_code in (204, 409), answer.text
        return answer.status_code == 204
    wait_until(step, 30, what="the rest")


def send(session, resource, data, **pairs):
    answer = create(session, resource, len(data), **pairs)
    assert answer.status_code == 201, answer.text
    answer = patch(session, answer.headers["Location"], 0, data)
    assert answer.status_code == 204, answer.text


def settled(session, resource, phase="Ready", seconds=60):
    """The object, once nothing is under way."""
    def check():
        answer = session.get(resource)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.json()["status"]["phase"] not in ("Uploading", "Unpacking") else None
    found = wait_until(check, seconds, what=f"{resource} settled")
    assert found["status"]["phase"] == phase, found["status"]
    return found


def content(instance, name, folder="public-dataset"):
    """Every file that users see: path → text."""
    base = instance.data / folder / name
    return {str(path.relative_to(base)): path.read_text() for path in sorted(base.rglob("*")) if path.is_file()}
