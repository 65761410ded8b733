"""Images that listen on TCP, as a student reaches them: Jupyter started as anybody starts it, as root, and a plain web server."""
import pathlib

import pytest

from e2e.inside import PYTHON, container
from support.answers import fresh_name
from support.instance import Browser
from support.lab import Lab

pytestmark = pytest.mark.root
IMAGE = "localhost/open-hydra/jupyter-lab:latest"
# Echoes a body of any size, and what comes by a WebSocket, as any framework does it: tornado is in the image.
WEB = """
import tornado.ioloop, tornado.web, tornado.websocket
class Echo(tornado.web.RequestHandler):
    def get(self): self.write("here")
    def post(self): self.write(self.request.body)
class Socket(tornado.websocket.WebSocketHandler):
    def on_message(self, message): self.write_message(message, binary=isinstance(message, bytes))
app = tornado.web.Application([("/", Echo), ("/socket", Socket)], websocket_max_message_size=1 << 26)
app.listen(5000, "127.0.0.1", max_buffer_size=1 << 28)
class Second(tornado.web.RequestHandler):
    def get(self): self.write("second")
tornado.web.Application([("/", Second)]).listen(5001)
tornado.ioloop.IOLoop.current().start()
"""


def start(hydra, **spec):
    sandbox, name = fresh_name("tcp"), fresh_name("pupil")
    answer = hydra.admin().post("sandboxes", json={"metadata": {"name": sandbox}, "spec": {"cpuImageName": IMAGE, **spec}})
    assert answer.status_code == 201, answer.text
    hydra.create_user(name)
    session = hydra.login(name, "password")
    answer = session.post("devices", json={"metadata": {"name": name}, "spec": {"openHydraUsername": name, "sandboxName": sandbox}})
    assert answer.status_code == 201, answer.text
    hydra.wait_phase(name, "Running", 120)
    return name, session, Lab(*hydra.environment(session, name))


def stop(hydra, name, session):
    assert session.delete(f"devices/{name}").status_code == 200
    hydra.wait_gone(name)


def test_jupyter_as_root_on_tcp(hydra):
    name, session, lab = start(hydra, command=["/opt/jupyter/bin/jupyter"], args=[
        "lab", "--ip=0.0.0.0", "--port=8888", "--allow-root", "--no-browser", "--notebook-dir=/root/notebook"],
        ports=[8888], runAsUser=0, home="/root/notebook", readinessPath="/api")
    assert "jupyter" in lab.request("GET", "/lab", 200).text.lower()
    kernel = lab.kernel()
    assert kernel.execute("import os; os.getuid()") == "0"
    assert len(kernel.execute("'x' * 5000000")) == 5000002
    kernel.close()
    terminal = lab.terminal()
    terminal.type("echo done-$((40+2))")
    assert "done-42" in terminal.until("done-42")
    terminal.close()
    assert lab.write("notes.txt", "mine").status_code == 201
    first = hydra.device(name)["status"]["hostId"]
    written = list((hydra.data / "workspace").glob(f"*/{name}/notes.txt"))
    assert [(p.stat().st_uid, p.read_text()) for p in written] == [(first, "mine")], "root inside, nobody outside"
    pid = container(hydra, name)["State"]["Pid"]
    assert pathlib.Path(f"/proc/{pid}/net/route").read_text().count("\n") == 1, "a network"
    stop(hydra, name, session)


def test_a_plain_web_server(hydra):
    name, session, lab = start(hydra, command=[PYTHON, "-c", WEB], ports=[{"name": "web", "port": 5000}])
    assert lab.request("GET", "/", 200).text == "here"
    for size in (0, 1, 100000, 30 << 20):
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert lab.request("POST", "/", 200, data=body).content == body
    socket = lab.socket("/socket")
    for message in ("你好", "x" * 3000000, ""):
        socket.send(message)
        assert socket.recv() == message
    socket.send_binary(b"\x00\xff")
    assert socket.recv() == b"\x00\xff"
    socket.close()
    stop(hydra, name, session)


def open_port(session, name, port):
    """As the dashboard does it: a ticket for that port, redeemed there."""
    answer = session.post(f"devices/{name}/ticket", json={"spec": {"port": port}})
    assert answer.status_code == 201, answer.text
    browser = Browser()
    answer = browser.get(answer.json()["status"]["url"], allow_redirects=False)
    assert answer.status_code in (302, 303), answer.text
    return browser


def test_several_ports_are_several_origins(hydra):
    name, session, lab = start(hydra, command=[PYTHON, "-c", WEB], ports=[{"name": "web", "port": 5000}, {"name": "second", "port": 5001}])
    status = hydra.device(name)["status"]
    (first, second), ports = status["urls"], [p["port"] for p in status["ports"]]
    assert lab.base == first and lab.request("GET", "/", 200).text == "here"
    # The first one's pass is none of the second's, though the browser sends both of them both cookies.
    assert lab.session.get(second, headers={"Sec-Fetch-Mode": "cors"}, allow_redirects=False).status_code in (302, 401, 403)
    browser = open_port(session, name, ports[1])
    assert browser.get(second).text == "second"
    assert browser.get(first, headers={"Sec-Fetch-Mode": "cors"}, allow_redirects=False).status_code in (302, 401, 403)
    # Pages of the one are another origin's to the other.
    assert browser.post(second, headers={"Origin": first}).status_code == 403
    stop(hydra, name, session)
    assert browser.get(second, allow_redirects=False).status_code in (302, 303, 401, 403, 404)
