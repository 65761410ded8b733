"""Other settings: without log-ins, TLS on the browser ports, plain HTTP in a class-room's network, ports of others."""
import ssl
import subprocess

import pytest
from world import NAVIGATE, WebSocket, request


def test_without_logins(other_world):
    w = other_world("disableAuth: true\n")
    assert request(w.first).status == 200
    assert request(w.first, headers=NAVIGATE).status == 200
    ws = WebSocket(w.first)
    assert ws.status == 101
    ws.close()
    # The rules against foreign pages are all that is left.
    assert request(w.first, host=f"rebound.example:{w.first}").status == 403
    assert request(w.first, "POST", headers={"Origin": f"http://127.0.0.1:{w.first + 1}"}).status == 403
    assert request(w.first, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}).status == 403
    assert WebSocket(w.first, Origin="null").status == 403
    a = request(w.first, "POST", w.path_of(w.ticket("anna", "-", 1)), {"Origin": f"http://127.0.0.1:{w.dashboard}"})
    assert a.status == 204 and "Set-Cookie" not in a.headers and a.headers["Clear-Site-Data"]


def certificate(w_folder):
    key, crt = w_folder / "school.key", w_folder / "school.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", crt], check=True, capture_output=True)
    key.chmod(0o644)
    return f"tlsCertificate: {crt}\ntlsCertificateKey: {key}\n", ssl.create_default_context(cafile=crt)


def test_browser_ports_with_tls(other_world, tmp_path):
    tmp_path.parent.parent.chmod(0o755)
    tmp_path.parent.chmod(0o755)
    tmp_path.chmod(0o755)
    settings, tls = certificate(tmp_path)
    w = other_world(settings)
    a = request(w.first, path=w.path_of(w.ticket("anna", "anna")), tls=tls)
    assert a.status == 302 and a.headers["Location"] == f"https://127.0.0.1:{w.first}/"
    cookie = {"Cookie": a.all("Set-Cookie")[0].split(";")[0]}
    assert cookie["Cookie"].startswith("__Host-Http-")
    assert request(w.first, headers=cookie, tls=tls).status == 200
    assert w.environments["anna"].seen[-1].headers["X-Forwarded-Proto"] == "https"
    assert request(w.first, "POST", headers={**cookie, "Origin": f"https://127.0.0.1:{w.first}"}, tls=tls).status == 200
    assert request(w.first, "POST", headers={**cookie, "Origin": f"http://127.0.0.1:{w.first}"}, tls=tls).status == 403
    assert request(w.dashboard, tls=tls).status == 200
    # Plain HTTP to a TLS port: the browser is told the right address.
    for port in (w.first, w.dashboard):
        a = request(port, path="/lab?x")
        assert a.status == 308 and a.headers["Location"] == f"https://127.0.0.1:{port}/lab?x"
    # No HTTP/2 here: there nobody could be told to clear cookies that are too large.
    jar = "; ".join(f"c{i}=" + "x" * 1000 for i in range(60))
    out = subprocess.run(["curl", "-sS", "--http2", "--cacert", tmp_path / "school.crt", "-o", "/dev/null", "-D", "-",
                          f"https://127.0.0.1:{w.first}/", "-H", f"Cookie: {jar}"], capture_output=True, text=True)
    assert out.stdout.startswith("HTTP/1.1 431") and 'Clear-Site-Data: "cookies"' in out.stdout, out


def test_plain_http_in_a_network(other_world):
    w = other_world("serverIP: Class.example\ninsecure: true\n")
    host = f"class.example:{w.first}"
    a = request(w.first, path=w.path_of(w.ticket("anna", "anna")), host=host)
    assert a.status == 302 and a.headers["Location"] == f"http://Class.example:{w.first}/"
    cookie = a.all("Set-Cookie")[0]
    assert cookie.startswith("open-hydra-env-") and "Secure" not in cookie and "HttpOnly" in cookie
    cookie = {"Cookie": cookie.split(";")[0]}
    assert request(w.first, headers=cookie, host=host).status == 200
    # No Sec-Fetch-* there: what a browser asks for is all there is.
    a = request(w.first, headers={"Accept": "text/html,*/*;q=0.8"}, host=host)
    assert a.status == 302 and a.headers["Location"].startswith(f"http://Class.example:{w.dashboard}/open?to=")
    assert request(w.first, headers={"Accept": "application/json"}, host=host).status == 401
    assert request(w.first, "POST", headers={**cookie, "Origin": f"http://class.example:{w.first + 1}"}, host=host).status == 403
    origin = f"http://class.example:{w.dashboard}"
    a = request(w.first, "POST", w.path_of(w.ticket("anna", "anna")), {"Origin": origin}, host=host)
    assert a.status == 204 and a.headers["Access-Control-Allow-Origin"] == origin
    # Another of the names leads to the first.
    assert request(w.first, path="/lab").headers["Location"] == f"http://Class.example:{w.first}/lab"


@pytest.mark.parametrize("extra", [
    "serverIP: 10.1.2.3\ninsecure: true\n",
    "serverIP: open-hydra.a-rather-long-name-of-a-department.school.example\n",
])
def test_nginx_takes_it(other_world, extra):
    w = other_world(extra)
    assert "[warn]" not in w.nginx_log() and "[alert]" not in w.nginx_log(), w.nginx_log()
    assert w.nginx.poll() is None


def test_nginx_needs_no_privileges(world):
    import os
    if os.geteuid() != 0:
        pytest.skip("is started without any")
    for pid in {world.nginx.pid, *world.workers()}:
        status = open(f"/proc/{pid}/status").read()
        assert "Uid:\t65534\t65534\t65534\t65534" in status and "CapEff:\t0000000000000000" in status
