"""The dashboard's and the API's listeners: files, headers, identity, TLS."""
import gzip
import json
import socket
import ssl
import subprocess

import pytest
from world import request

SPOOFED = {"X-Open-Hydra-Listener": "api", "X-Client-Verify": "SUCCESS", "X-Client-Subject": "CN=admin,O=system:masters",
           "X-Client-Serial": "01", "X-Real-IP": "1.2.3.4", "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "gopher",
           "X_Client_Verify": "SUCCESS", "Forwarded": "for=1.2.3.4"}


def test_application_and_files(world):
    for path in ("/", "/devices", "/open?to=http%3A%2F%2Fx", "/setup?code=1", "/a/b/c"):
        a = request(world.dashboard, path=path)
        assert a.status == 200 and b"dashboard" in a.body and a.headers["Cache-Control"] == "no-cache"
        assert a.headers["Content-Type"] == "text/html; charset=utf-8"
        csp = a.headers["Content-Security-Policy"]
        assert "script-src 'self'" in csp and "frame-ancestors 'none'" in csp and "unsafe" not in csp
        assert "connect-src 'self' http://127.0.0.1:*;" in csp
        assert a.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert a.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/favicon.ico", "/a/b.js", "/assets/none.js", "/assets/", "/assets", "/../nginx/nginx.conf", "/%2e%2e/config.yaml"):
        assert request(world.dashboard, path=path).status in (200, 400, 404), path
        assert b"daemon off" not in request(world.dashboard, path=path).body
    assert request(world.dashboard, path="/a/b.js").status == 404
    a = request(world.dashboard, path="/assets/app-1a2b.js", headers={"Accept-Encoding": "gzip"})
    assert a.headers["Cache-Control"] == "public, max-age=31536000, immutable" and a.headers["Content-Encoding"] == "gzip"
    assert len(gzip.decompress(a.body)) == 5002 and a.headers["Content-Type"].startswith("text/javascript")
    (world.folder / "web/assets/app-1a2b.js.gz").write_bytes(gzip.compress(b"prepared"))
    assert gzip.decompress(request(world.dashboard, path="/assets/app-1a2b.js", headers={"Accept-Encoding": "gzip"}).body) == b"prepared"


def test_names_of_the_dashboard(world):
    a = request(world.dashboard, path="/open?to=x", host=f"localhost:{world.dashboard}")
    assert a.status == 307 and a.headers["Location"] == f"http://127.0.0.1:{world.dashboard}/open?to=x"
    a = request(world.dashboard, host=f"rebound.example:{world.dashboard}")
    assert a.status == 403 and "serverIP" in a.body.decode()


def test_identity_cannot_be_claimed(world):
    got = request(world.dashboard, path="/apis/x%2Fy", headers={**SPOOFED, "Connection": "X-Client-Verify, close", "Upgrade": "h2c"}).json()
    assert got["X-Open-Hydra-Listener"] == "dashboard" and got["X-Client-Verify"] == "NONE" and got["path"] == "/apis/x%2Fy"
    assert got["X-Real-IP"] == got["X-Forwarded-For"] == "127.0.0.1" and got["X-Forwarded-Proto"] == "http"
    for name in ("X-Client-Subject", "X-Client-Serial", "Forwarded", "Upgrade"):
        assert name not in got


@pytest.mark.parametrize("path", ["/apis", "/apis/", "/api", "/api/v1", "/openapi/v3", "/version", "/healthz", "/livez", "/readyz", "/metrics"])
def test_what_goes_to_the_server(world, path):
    assert request(world.dashboard, path=path).json()["path"] == path


def test_only_whole_words_go_to_the_server(world):
    for path in ("/apisx", "/versions", "/healthzz"):
        assert b"dashboard" in request(world.dashboard, path=path).body


def test_bodies_of_the_api(world):
    assert request(world.dashboard, "POST", "/apis/x", body=b"x" * (3 << 20)).json()["body"] == 3 << 20
    a = request(world.dashboard, "POST", "/apis/x", body=b"x" * ((3 << 20) + 1))
    assert a.status == 413 and a.json()["reason"] == "RequestEntityTooLarge"


def test_streams_are_not_held_back(world):
    with socket.create_connection(("127.0.0.1", world.dashboard), timeout=20) as s:
        s.sendall(f"GET /apis/stream HTTP/1.1\r\nHost: 127.0.0.1:{world.dashboard}\r\n\r\n".encode())
        f = s.makefile("rb")
        while f.readline() != b"\r\n":
            pass
        assert [f.readline(), f.readline()][1] == b"first\n"
        world.tell("wake")
        assert b"second" in f.read(14)


def test_large_answers(world):
    assert len(request(world.dashboard, path="/apis/large").body) == 1 << 20


# --- the API's own listener ---
def context(world, certificate=None, key=None, version=None):
    c = ssl.create_default_context(cafile=world.folder / "pki/ca.crt")
    c.check_hostname = False
    if certificate:
        c.load_cert_chain(certificate, key)
    if version:
        c.minimum_version = c.maximum_version = version
    return c


@pytest.fixture(scope="module")
def certificate(world):
    import base64
    path = world.folder / "kubeconfig"
    world.tell("kubeconfig", world.folder / "pki", f"https://127.0.0.1:{world.api}", path)
    text = path.read_text()
    out = []
    for name in ("client-certificate-data", "client-key-data"):
        value = text.split(name)[1].lstrip('": ').split()[0].strip('",')
        out.append(world.folder / name)
        out[-1].write_bytes(base64.b64decode(value))
    return out


def foreign_certificate(world, subject):
    key, crt = world.folder / "foreign.key", world.folder / "foreign.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                    "-keyout", key, "-out", crt], check=True, capture_output=True)
    return crt, key


def test_client_certificates(world, certificate):
    got = request(world.api, path="/apis/x", headers=SPOOFED, tls=context(world)).json()
    assert got["X-Open-Hydra-Listener"] == "api" and got["X-Client-Verify"] == "NONE" and "X-Client-Subject" not in got
    got = request(world.api, path="/apis/x", headers=SPOOFED, tls=context(world, *certificate)).json()
    assert got["X-Client-Verify"] == "SUCCESS" and got["X-Client-Serial"] != "01" and got["X-Forwarded-Proto"] == "https"
    assert "CN=open-hydra-admin" in got["X-Client-Subject"] and "O=system:masters" in got["X-Client-Subject"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_foreign_certificate_is_nobodys(world, version):
    crt, key = foreign_certificate(world, "/O=system:masters/CN=open-hydra-admin")
    a = request(world.api, path="/apis/x", headers=SPOOFED, tls=context(world, crt, key, version))
    assert a.status == 401 and a.json()["reason"] == "Unauthorized"


def test_old_protocols_and_plain_text(world):
    c = context(world)
    c.minimum_version, c.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    c.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        request(world.api, path="/version", tls=c)
    assert request(world.api, path="/version").status == 400


def test_only_the_api_is_there(world):
    for path in ("/", "/auth/login", "/index.html", "/.open-hydra/auth"):
        assert request(world.api, path=path, tls=context(world)).status == 404


def test_no_http2(world):
    """Over it nginx would keep the headers of an answer back until its body begins."""
    out = subprocess.run(["curl", "-sS", "--http2", "--cacert", world.folder / "pki/ca.crt", "-w", "\n%{http_version} %{http_code}",
                          f"https://127.0.0.1:{world.api}/apis/x", "-H", "Cookie: a=b"], capture_output=True, text=True)
    body, _, word = out.stdout.rpartition("\n")
    assert word == "1.1 200", out
    assert json.loads(body)["Host"] == f"127.0.0.1:{world.api}"
