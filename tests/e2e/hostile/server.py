"""What runs in a hostile environment, or in one that only keeps what it is asked: `python3 -c` of this text, as a Sandbox's command.

Requests below /.control/ come from the test, straight to the socket: `plan` sets answers, `seen` tells what came, `run` is the
student at a terminal, `hog` takes memory until the kernel steps in. nginx hands out nothing below it (see `serve`).
"""
import base64
import hashlib
import http.server
import json
import os
import signal
import socketserver
import sys
import threading
import traceback

PATH = os.environ["OPENHYDRA_SOCKET"]
answers, seen, lock = {}, [], threading.Lock()


def run(body):
    """Python, as the student has it: what it puts into `result`."""
    names = {"result": None}
    try:
        exec(compile(body, "student", "exec"), names)
        return {"result": names["result"]}
    except BaseException:
        return {"error": traceback.format_exc()}


def hog():
    kept = []
    while True:
        kept.append(bytearray(os.urandom(4096) * 256))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "nginx"

    def log_message(self, *args):
        pass

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def control(self, body):
        what = self.path.removeprefix("/.control/")
        if what == "plan":
            answers.update(json.loads(body))
            return None
        if what == "seen":
            with lock:
                return list(seen)
        if what == "run":
            return run(body.decode())
        return None

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        from_nginx = "X-Forwarded-Proto" in self.headers  # which always sets it; the runner and the test do not
        if self.path.startswith("/.control/") and not from_nginx:
            self.answer(200, [], json.dumps(self.control(body)).encode())
            if self.path == "/.control/hog":  # once the answer is out
                hog()
            return None
        with lock:
            if from_nginx:
                seen.append({"method": self.command, "path": self.path, "headers": self.headers.items(), "body": body.decode("latin-1")})
        if self.headers.get("Upgrade") == "websocket":
            return self.websocket()
        status, headers, text = answers.get(self.path.split("?")[0], (200, [], "environment"))
        if status == "raw":
            self.close_connection = True
            return self.wfile.write(text.encode("latin-1"))
        self.answer(status, headers, text.encode())

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response_only(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        for name, value in answers.get(self.path, (101, [], ""))[1]:
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        while len(head := self.rfile.read(2)) == 2 and head[0] & 15 != 8:
            mask = self.rfile.read(4)
            text = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(head[1] & 127)))
            self.wfile.write(bytes([0x81, len(text)]) + text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = serve


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *args):
        pass


# Process 1 ends by no signal that it has not asked for.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
try:
    os.unlink(PATH)
except FileNotFoundError:
    pass
with Server(PATH, Handler) as server:
    os.chmod(PATH, 0o666)
    print("hostile environment listens on", PATH, file=sys.stderr, flush=True)
    server.serve_forever()
