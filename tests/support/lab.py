"""A Jupyter Lab as its user's browser reaches it: through nginx, with the environment's cookie."""
import json
import uuid

import websocket


class Lab:
    def __init__(self, session, base):
        self.session, self.base = session, base

    def headers(self):
        """What a browser sends at a WebSocket handshake."""
        return [f"Origin: {self.base}", f"User-Agent: {self.session.headers['User-Agent']}"], "; ".join(f"{c.name}={c.value}" for c in self.session.cookies)

    def request(self, method, path, code=None, **kwargs):
        headers = {"Origin": self.base} if method not in ("GET", "HEAD") else {}
        answer = self.session.request(method, self.base + path, headers=headers, timeout=60, **kwargs)
        if code:
            assert answer.status_code == code, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def socket(self, path, timeout=60):
        header, cookie = self.headers()
        verify = self.session.verify
        return websocket.create_connection(self.base.replace("http", "ws", 1) + path, header=header, cookie=cookie, timeout=timeout,
                                           suppress_origin=True, sslopt={"ca_certs": verify} if isinstance(verify, str) else None)

    def kernel(self):
        """As Lab does it: the session of a notebook, in whose folder the kernel runs."""
        session = self.request("POST", "/api/sessions", 201, json={"path": f"{uuid.uuid4().hex}.ipynb", "type": "notebook", "name": "",
                                                                   "kernel": {"name": "python3"}})
        return Kernel(self, session.json()["kernel"]["id"])

    def terminal(self):
        return Terminal(self, self.request("POST", "/api/terminals", 200).json()["name"])

    def write(self, path, text):
        return self.request("PUT", f"/api/contents/{path}", json={"type": "file", "format": "text", "content": text})

    def read(self, path):
        return self.request("GET", f"/api/contents/{path}", 200).json()["content"]


class Kernel:
    def __init__(self, lab, identity):
        self.lab, self.identity = lab, identity
        self.socket = lab.socket(f"/api/kernels/{identity}/channels")

    def execute(self, code, timeout=60):
        """What the code prints, and the text of its last value."""
        message = uuid.uuid4().hex
        self.socket.settimeout(timeout)
        self.socket.send(json.dumps({
            "channel": "shell", "parent_header": {}, "metadata": {}, "buffers": [],
            "header": {"msg_id": message, "msg_type": "execute_request", "username": "", "session": "test", "version": "5.3", "date": ""},
            "content": {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}}))
        out = ""
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("parent_header", {}).get("msg_id") != message:
                continue
            kind, content = answer["msg_type"], answer["content"]
            if kind == "stream":
                out += content["text"]
            elif kind == "execute_result":
                out += content["data"]["text/plain"]
            elif kind == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return out

    def close(self):
        self.socket.close()


class Terminal:
    def __init__(self, lab, name):
        self.name = name
        self.socket = lab.socket(f"/terminals/websocket/{name}")

    def type(self, line):
        self.socket.send(json.dumps(["stdin", line + "\r"]))

    def until(self, text):
        """Everything that is shown up to this text."""
        shown = ""
        while text not in shown:
            kind, *rest = json.loads(self.socket.recv())
            if kind == "stdout":
                shown += rest[0]
        return shown

    def close(self):
        self.socket.close()


class Student:
    """Somebody of that name, with a Jupyter Lab that runs."""

    def __init__(self, hydra, name):
        self.hydra, self.name = hydra, name
        hydra.create_user(name)
        hydra.create_device(name, sandboxName="jupyter-lab")
        self.device = hydra.wait_phase(name, "Running", 120)
        self.session = hydra.login(name, "password")

    def lab(self):
        return Lab(*self.hydra.environment(self.session, self.name))

    def run(self, code):
        kernel = self.lab().kernel()
        try:
            return kernel.execute(code)
        finally:
            kernel.close()
