"""A whole open-hydra behind a school's own TLS proxy: login, start, a notebook's kernel; and what becomes of addresses that change."""
import pytest

from support.instance import Browser, Instance
from support.lab import Lab
from support.outer import ADDRESS, KINDS, Outer

pytestmark = pytest.mark.root


def visitor(base, certificate):
    session = Browser()
    session.base, session.verify = base, certificate
    return session


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_behind_it(kind):
    hydra = Instance(environments=20)
    public = f"https://{ADDRESS}:{hydra.dashboard_port}"
    hydra.config.update(publicAddress=public, trustedProxies=["127.0.0.1"])
    first, last = hydra.environment_ports
    with Outer(kind, [(None, hydra.dashboard_port, None), (None, f"{first}-{last}", None)]) as outer, hydra:
        assert f"Dashboard    {public}\n" in hydra.output() and f"{public}/setup?code=" in hydra.output()
        hydra.create_user("anna")
        session = visitor(public, outer.certificate)
        answer = session.post("/auth/login", json={"username": "anna", "password": "password"}, headers={"Origin": f"http://127.0.0.1:{hydra.dashboard_port}"})
        assert answer.status_code == 403
        answer = session.post("/auth/login", json={"username": "anna", "password": "password"}, headers={"Origin": public})
        assert answer.status_code == 200 and "__Host-Http-" in answer.headers["Set-Cookie"] and "Secure" in answer.headers["Set-Cookie"]
        session.headers.update({"X-Open-Hydra-Session-Key": answer.json()["key"], "Origin": public})
        assert session.post("devices", json={"metadata": {"name": "anna"}, "spec": {"openHydraUsername": "anna"}}).status_code == 201
        device = hydra.wait_phase("anna", "Running", 120)
        url = f"https://{ADDRESS}:{device['status']['port']}"
        assert device["status"]["urls"] == [url] == [device["spec"]["jupyterLabUrl"]]

        ticket = session.post("devices/anna/ticket", json={}).json()["status"]["url"]
        assert ticket.startswith(url + "/")
        inside = visitor(url, outer.certificate)
        inside.headers["User-Agent"] = ""
        assert inside.get(ticket, allow_redirects=False).headers["Location"].startswith(url + "/")
        lab = Lab(inside, url)
        assert "jupyter" in lab.request("GET", "/lab", 200).text.lower()
        kernel = lab.kernel()
        assert kernel.execute("6 * 7") == "42"
        kernel.close()

        # The same ones, reached in another way.
        hydra.stop()
        del hydra.config["publicAddress"], hydra.config["trustedProxies"]
        hydra.start()
        device = hydra.device("anna")
        assert device["status"]["urls"] == [f"http://127.0.0.1:{device['status']['port']}"] == [device["spec"]["jupyterLabUrl"]]
        assert Lab(*hydra.environment(hydra.login("anna", "password"), "anna")).request("GET", "/api/status", 200).json()["kernels"] == 1
