"""Attacks from inside of a student's environment, and through the gateway to it. What runs inside is the student's own program
(tests/e2e/hostile), which executes what it is told on the environment's socket."""
import http.client
import json
import socket
import textwrap
import time

from wire import addressed, attack, request


class Socket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("127.0.0.1", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def control(a, what, body):
    connection = Socket(a.target.socket)
    try:
        connection.request("POST", f"/.control/{what}", body, {"Content-Type": "text/plain"})
        text = connection.getresponse().read()
        a.count("done" if b"Traceback" not in text else "failed inside")
        return text
    finally:
        connection.close()


def inside(a, code):
    """Python for `seconds`; whatever it began ends by then."""
    text = control(a, "run", f"seconds = {a.left():.1f}\nimport os, sys, time, threading, subprocess, socket\nuntil = time.monotonic() + seconds\n" +
                   textwrap.dedent(code))
    if b"Traceback" in text:
        a.count(text.decode()[-200:])


@attack
def output(a):
    inside(a, """
        line = b'x' * 65536 + b'\\n'
        while time.monotonic() < until:
            os.write(2, line)
    """)


@attack
def output_of_short_lines(a):
    inside(a, """
        line = b'\\x1b[31m\\x9b1m\\n' * 4096
        while time.monotonic() < until:
            os.write(1, line)
    """)


@attack
def processors(a):
    inside(a, """
        code = 'import time\\nt = time.monotonic() + %f\\nwhile time.monotonic() < t: pass' % seconds
        for child in [subprocess.Popen([sys.executable, '-c', code]) for _ in range(16)]:
            child.wait()
    """)


@attack
def processes(a):
    """As many as may be: small ones, so that it is their number that counts."""
    inside(a, """
        children = []
        while time.monotonic() < until:
            try:
                children.append(os.posix_spawn('/bin/sleep', ['sleep', '60'], {}))
            except OSError:
                time.sleep(0.01)
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    """)


@attack
def memory(a):
    """Up to the limit, again and again: the kernel ends the child that holds it."""
    inside(a, """
        code = 'kept = []\\nwhile True: kept.append(bytearray(1 << 24)); kept[-1][::4096] = b"x" * (1 << 12)'
        while time.monotonic() < until:
            child = subprocess.Popen([sys.executable, '-c', code])
            try:
                child.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    """)


@attack
def descriptors(a):
    inside(a, """
        kept = []
        try:
            while time.monotonic() < until:
                kept.append(os.open('/dev/null', 0))
        except OSError:
            pass
        for fd in kept:
            os.close(fd)
    """)


@attack
def temporary_files(a):
    inside(a, """
        number = 0
        try:
            while time.monotonic() < until:
                with open(f'/tmp/f{number}', 'wb') as f:
                    f.write(b'x' * 1000)
                number += 1
        except OSError:
            pass
        subprocess.run('rm -f /tmp/f*', shell=True)
        for number in range(number):
            if os.path.exists(f'/tmp/f{number}'):
                os.unlink(f'/tmp/f{number}')
    """)


@attack
def files_of_the_home(a):
    """Small ones by the thousand, and large ones that are written through to the disk."""
    inside(a, """
        folder = '/home/student/many'
        os.makedirs(folder, exist_ok=True)
        number = 0
        while time.monotonic() < until:
            if number % 50 == 0:
                with open(folder + '/large', 'wb') as f:
                    for _ in range(8):
                        f.write(b'x' * (1 << 22))
                    os.fsync(f.fileno())
            open(f'{folder}/{number}', 'w').close()
            number += 1
        import shutil
        shutil.rmtree(folder)
    """)


@attack
def sockets_in_the_folder(a):
    """The folder in which nginx looks for the environment's socket."""
    inside(a, """
        kept = []
        number = 0
        while time.monotonic() < until:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.bind(f'/run/open-hydra/x{number % 50}')
                kept.append(s)
            except OSError:
                try:
                    os.unlink(f'/run/open-hydra/x{number % 50}')
                except OSError:
                    pass
            number += 1
        for n in range(50):
            try:
                os.unlink(f'/run/open-hydra/x{n}')
            except OSError:
                pass
    """)


@attack
def signals_to_itself(a):
    """Children that stop, die and are left."""
    inside(a, """
        import signal
        while time.monotonic() < until:
            child = subprocess.Popen(['sleep', '60'])
            child.send_signal(signal.SIGSTOP)
            child.kill()
            child.wait()
    """)


# ---- through the gateway ------------------------------------------------------------------------------------------


def own(a, method, path, *headers, body=b""):
    cookie = f"Cookie: {a.target.inside_cookie}"
    origin = f"Origin: http://127.0.0.1:{a.target.inside_port}"
    return request(method, path, [cookie, origin, *headers], body)


@attack
def connections_to_the_own_environment(a):
    a.hold(3000, own(a, "GET", "/slow"), port=a.target.inside_port)


@attack
def websockets(a):
    headers = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    a.hold(1500, own(a, "GET", "/ws", *headers), port=a.target.inside_port)


@attack
def requests_to_the_own_environment(a):
    def ask(n):
        with a.open(a.target.inside_port) as s:
            s.settimeout(5)
            for _ in range(20):
                s.sendall(addressed(own(a, "GET", "/"), s))
                a.count(s.recv(65536)[9:12].decode("latin-1"))
    a.threads(8, ask)


@attack
def uploads_to_the_own_environment(a):
    body = b"x" * (8 << 20)

    def send(n):
        with a.open(a.target.inside_port) as s:
            s.settimeout(max(0.2, a.left()))
            s.sendall(addressed(own(a, "POST", "/", body=body), s))
            a.count(s.recv(64)[9:12].decode("latin-1"))
    a.threads(4, send)


@attack
def answers_without_end(a):
    """The environment answers with headers or a body that never end; its student takes none of it."""
    raw = "HTTP/1.1 200 OK\r\n" + "".join(f"X-{n}: {'v' * 100}\r\n" for n in range(3000))
    control(a, "plan", json.dumps({"/endless": ["raw", [], raw]}).encode())

    def take(n):
        with a.open(a.target.inside_port) as s:
            s.settimeout(2)
            s.sendall(addressed(own(a, "GET", "/endless"), s))
            a.count(s.recv(64)[9:12].decode("latin-1"))
    a.threads(8, take)


@attack
def handshakes_that_end_at_once(a):
    headers = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]

    def once(n):
        with a.open(a.target.inside_port) as s:
            s.sendall(addressed(own(a, "GET", "/ws", *headers), s))
            time.sleep(0.005)
        a.count("left")
    a.threads(8, once)
