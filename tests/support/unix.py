"""HTTP on a unix socket."""
import http.client
import json
import socket


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("127.0.0.1", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, method, target, body=None, kind="application/json", timeout=60, headers=None):
    """Status and answer (parsed where it is JSON); what is not bytes is sent as JSON. Raises OSError or HTTPException where
    there is no answer."""
    connection = Connection(path, timeout)
    try:
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
        connection.request(method, target, data, {**({"Content-Type": kind} if body is not None else {}), **(headers or {})})
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(data)
    except ValueError:
        return answer.status, data.decode(errors="replace")
