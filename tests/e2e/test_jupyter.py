"""A student's Jupyter Lab, real: through nginx, in a container, on the student's files."""
import json
import os
import pathlib
import re
import threading

import pytest
import websocket

from support.answers import fresh_name, is_status
from support.instance import Browser, wait_until
from support.lab import Lab

pytestmark = pytest.mark.root


class Student:
    def __init__(self, hydra):
        self.hydra = hydra
        self.name = hydra.create_user(fresh_name("pupil"))["metadata"]["name"]
        self.session = hydra.login(self.name, "password")

    def start(self):
        """As the dashboard does it."""
        answer = self.session.post("devices", json={"metadata": {"name": self.name}, "spec": {
            "openHydraUsername": self.name, "sandboxName": "jupyter-lab"}})
        assert answer.status_code == 201, answer.text
        self.device = self.hydra.wait_phase(self.name, "Running", 120)
        return self.open()

    def open(self):
        return Lab(*self.hydra.environment(self.session, self.name))

    def stop(self):
        assert self.session.delete(f"devices/{self.name}").status_code == 200
        self.hydra.wait_gone(self.name)


@pytest.fixture(scope="module")
def anna(hydra):
    student = Student(hydra)
    student.lab = student.start()
    yield student
    student.stop()


@pytest.fixture(scope="module")
def ben(hydra):
    student = Student(hydra)
    student.lab = student.start()
    yield student
    student.stop()


def test_status(anna):
    status = anna.device["status"]
    assert status["phase"] == "Running" and status["startedAt"] and set(status["timings"]) == {"queued", "preparing", "starting"}
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions["Ready"] == "True" and conditions["UserNamespace"] == "True"
    assert anna.device["spec"]["deviceStatus"] == "Running" and anna.device["spec"]["jupyterLabUrl"] == status["urls"][0]


def test_kernel(anna):
    kernel = anna.lab.kernel()
    assert kernel.execute("1+1") == "2"
    assert kernel.execute("print('你好')").strip() == "你好"
    assert kernel.execute("import os; os.getcwd()").strip("'").startswith("/home/student")
    kernel.close()


def test_terminal(anna):
    terminal = anna.lab.terminal()
    terminal.type("id -u; echo done-$((40+2))")
    shown = terminal.until("done-42")
    assert "1000" in shown
    terminal.close()
    anna.lab.request("DELETE", f"/api/terminals/{terminal.name}", 204)


def test_pages(anna):
    answer = anna.lab.request("GET", "/lab", 200)
    assert "text/html" in answer.headers["Content-Type"] and "jupyter" in answer.text.lower()
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers


def test_saved_files_are_the_students_own_on_disk(hydra, anna):
    assert anna.lab.write("notes.txt", "mine").status_code == 201
    home = hydra.data / "workspace/jupyter-lab" / anna.name
    file = home / "notes.txt"
    assert file.read_text() == "mine"
    assert file.stat().st_uid == file.stat().st_gid == anna.device["status"]["hostId"] + 1000, "uid 1000 inside"
    assert home.parent.parent.stat().st_mode & 0o077 == 0
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    answer = anna.lab.request("PUT", "/api/contents/a.ipynb", json={"type": "notebook", "content": notebook})
    assert answer.status_code == 201, answer.text
    assert json.loads((home / "a.ipynb").read_text())["nbformat"] == 4


def test_log(hydra, anna):
    answer = anna.session.get(f"devices/{anna.name}/log")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain") and answer.text.strip()
    assert len(anna.session.get(f"devices/{anna.name}/log", params={"tailLines": 1}).text.strip().splitlines()) == 1
    assert anna.session.get(f"devices/{anna.name}/log", params={"tailLines": 0}).text == ""
    assert not re.search(r"token=(?!\.\.\.)", answer.text), "no secret of the gateway's"


def test_log_follow(hydra, anna):
    """New lines come as they are said; the stream ends with the environment, or with its reader."""
    answer = anna.session.get(f"devices/{anna.name}/log", params={"follow": "true", "tailLines": 1}, stream=True, timeout=(30, 600))
    assert answer.status_code == 200
    lines = []

    def read():
        rest = b""
        try:
            while data := answer.raw.read1(4096):
                rest += data
                lines[:] = rest.decode(errors="replace").splitlines()
        except Exception:
            pass  # closed at the end
    threading.Thread(target=read, daemon=True).start()
    wait_until(lambda: lines, what="the last line")
    before = len(lines)
    anna.lab.request("GET", "/api/contents/nothing-here-at-all", 404)
    wait_until(lambda: any("nothing-here-at-all" in line for line in lines[before:]), 60, what="a new line")


def test_another_student_may_not(hydra, anna, ben):
    """Neither by ticket nor with the cookies of the own environment."""
    is_status(ben.session.post(f"devices/{anna.name}/ticket"), 403, "Forbidden")
    address = anna.device["status"]["urls"][0]
    for method, path in (("GET", "/api/contents"), ("GET", "/lab"), ("POST", "/api/terminals"), ("GET", "/api")):
        answer = ben.lab.session.request(method, address + path, headers={"Origin": address}, allow_redirects=False)
        assert answer.status_code in (302, 303, 401, 403), (method, path, answer.status_code)
    header, cookie = ben.lab.headers()
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(address.replace("http", "ws", 1) + "/api/kernels/x/channels", header=[f"Origin: {address}"], cookie=cookie,
                                    suppress_origin=True)
    # The whole jar of a browser that is logged in at the dashboard, too.
    answer = ben.session.get(address + "/api/contents", allow_redirects=False)
    assert answer.status_code in (302, 303, 401, 403)
    assert [i["metadata"]["name"] for i in ben.session.get("devices").json()["items"]] == [ben.name]


def test_two_at_once_see_their_own(anna, ben):
    for student in (anna, ben):
        assert student.lab.write("who.txt", student.name).status_code in (200, 201)
    for student in (anna, ben):
        assert student.lab.read("who.txt") == student.name
        kernel = student.lab.kernel()
        assert kernel.execute("print(open('who.txt').read(), end='')") == student.name
        kernel.close()


def test_an_administrator_may(hydra, anna):
    teacher = hydra.login("headmaster", "the-head-knows")
    lab = Lab(*hydra.environment(teacher, anna.name))
    lab.request("GET", "/api/contents", 200)


def test_without_a_ticket(hydra, anna):
    """The seed's «open this address in a browser» leads to the login and back."""
    address = anna.device["status"]["urls"][0]
    answer = Browser().get(address + "/lab/tree/a.ipynb", headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
                                                                  "Sec-Fetch-Site": "none"}, allow_redirects=False)
    assert answer.status_code in (302, 303)
    assert answer.headers["Location"].startswith(hydra.dashboard + "/open?to=") and "a.ipynb" in answer.headers["Location"]
    answer = Browser().get(address + "/api/contents", headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}, allow_redirects=False)
    assert answer.status_code == 401


def test_a_ticket_is_good_once(hydra, anna):
    url = anna.session.post(f"devices/{anna.name}/ticket").json()["status"]["url"]
    assert Browser().get(url, allow_redirects=False).status_code in (302, 303)
    answer = Browser().get(url, allow_redirects=False)
    assert answer.status_code not in (302, 303) or hydra.dashboard in answer.headers["Location"]
    assert "Set-Cookie" not in answer.headers


def test_the_dashboards_way_of_a_ticket(hydra, anna):
    status = anna.session.post(f"devices/{anna.name}/ticket").json()["status"]
    assert status["expirationTimestamp"]
    browser = Browser()
    answer = browser.post(status["url"], headers={"Origin": hydra.dashboard, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"})
    assert answer.status_code == 204 and answer.headers["Access-Control-Allow-Origin"] == hydra.dashboard
    cleared = answer.headers["Clear-Site-Data"]
    assert '"storage"' in cleared and '"cookies"' not in cleared and '"*"' not in cleared, "the dashboard's cookie stays"
    Lab(browser, anna.device["status"]["urls"][0]).request("GET", "/api/contents", 200)
    status = anna.session.post(f"devices/{anna.name}/ticket").json()["status"]
    assert Browser().post(status["url"], headers={"Origin": "http://evil.example"}).status_code == 403


def test_logout_ends_the_right_to_it(hydra, anna):
    session = hydra.login(anna.name, "password")
    lab = Lab(*hydra.environment(session, anna.name))
    lab.request("GET", "/api/contents", 200)
    session.post("/auth/logout")
    assert lab.request("GET", "/api/contents").status_code == 401
    anna.lab.request("GET", "/api/contents", 200)


def test_no_secret_reaches_the_environment(hydra, anna):
    """What the browser holds of ours stays outside; and no other environment's or the server's sockets are to be seen."""
    kernel = anna.lab.kernel()
    text = kernel.execute("import os; print(os.listdir('/run/open-hydra'), os.getuid(), open('/proc/self/status').read())")
    assert "1000" in text and "CapEff:\t0000000000000000" in text and "NoNewPrivs:\t1" in text
    assert "environment.sock" in text and "gateway.sock" not in text
    kernel.close()


def test_stop_and_start_keeps_the_files(hydra):
    student = Student(hydra)
    lab = student.start()
    port = student.device["status"]["port"]
    lab.write("kept.txt", "still here")
    kernel = lab.kernel()
    kernel.execute("open('by-the-kernel.txt', 'w').write('too')")
    student.stop()
    # What a stopped environment's connections do: they end.
    with pytest.raises((websocket.WebSocketException, OSError)):
        while True:
            if not kernel.socket.recv():
                raise websocket.WebSocketException("closed")
    answer = lab.request("GET", "/api/contents", allow_redirects=False)
    assert answer.status_code in (302, 303, 401, 403, 404, 503)
    lab = student.start()
    assert student.device["status"]["port"] == port
    assert lab.read("kept.txt") == "still here" and lab.read("by-the-kernel.txt") == "too"
    student.stop()
    assert (hydra.data / "workspace/jupyter-lab" / student.name / "kept.txt").read_text() == "still here"


def test_a_container_that_is_killed(hydra, anna):
    """From outside the runner: the status says so, and the environment recovers."""
    inside = [int(p) for p in os.listdir("/proc") if p.isdigit() and _is_of(int(p), anna.device["status"]["hostId"])]
    assert inside
    before = hydra.device(anna.name)["status"].get("restarts", 0)
    for pid in inside:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
    wait_until(lambda: hydra.device(anna.name)["status"].get("restarts", 0) > before, 90, what="started again")
    hydra.wait_phase(anna.name, "Running", 120)
    anna.lab = anna.open()
    assert anna.lab.read("who.txt") == anna.name


def _is_of(pid, host_id):
    try:
        uid = int(pathlib.Path(f"/proc/{pid}/status").read_text().split("\nUid:\t")[1].split()[0])
    except (OSError, IndexError):
        return False
    return host_id <= uid < host_id + 65536
