"""An image that listens on TCP, against the same on a unix socket: both through the gateway, both with their own student."""
import pathlib
import statistics

from support.instance import Instance
from world import hammer, in_turn, memory

SOCKET = "/run/open-hydra/environment.sock"
# As little as a server can do, so that what is between shows.
CODE = '''
import asyncio, os
SMALL, LARGE = (b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % n + b"x" * n for n in (100, 1000000))
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.head = transport, b""
    def data_received(self, data):
        self.head += data
        while b"\\r\\n\\r\\n" in self.head:
            head, _, self.head = self.head.partition(b"\\r\\n\\r\\n")
            self.transport.write(LARGE if b"/megabyte" in head else SMALL)
            if b"connection: close" in head.lower():
                self.transport.close()
async def main():
    loop = asyncio.get_running_loop()
    path = os.environ.get("OPENHYDRA_SOCKET")
    if path:
        server = await loop.create_unix_server(Server, path)
        os.chmod(path, 0o666)
    else:
        server = await loop.create_server(Server, "0.0.0.0", 8888)
    await server.serve_forever()
asyncio.run(main())
'''


def sandbox(hydra, name, **spec):
    spec = {"cpuImageName": "localhost/open-hydra/jupyter-lab:latest", "command": ["/opt/jupyter/bin/python3", "-c", CODE], **spec}
    answer = hydra.admin().post("sandboxes", json={"metadata": {"name": name}, "spec": spec})
    assert answer.status_code == 201, answer.text


def start(hydra, name):
    """Where it is, and headers that open it."""
    hydra.create_user(name)
    hydra.create_device(name, sandboxName=name)
    hydra.wait_phase(name, "Running", 120)
    session, base = hydra.environment(hydra.login(name, "password"), name)
    cookies = "; ".join(f"{c.name}={c.value}" for c in session.cookies)
    return hydra.device(name)["status"]["port"], {"Cookie": cookies, "Origin": base, "User-Agent": session.headers["User-Agent"]}


def relay_of(hydra, name):
    user = hydra.device(name)["status"]["hostId"] + 65535
    return next(int(p.name) for p in pathlib.Path("/proc").glob("[0-9]*") if p.stat().st_uid == user)


def run(report, o):
    with Instance() as hydra:
        sandbox(hydra, "on-tcp", ports=[8888])
        sandbox(hydra, "on-socket", socket=SOCKET)
        (tcp, tcp_headers), (unix, unix_headers) = start(hydra, "on-tcp"), start(hydra, "on-socket")
        for what, path, goal, connections in (("small request", "/", 0.8, (1, 16, 64)), ("1 MB body", "/megabyte", 0.9, (1, 16))):
            for c in connections:
                load = {"seconds": o.seconds, "connections": c}
                pair = in_turn(o.rounds, lambda: hammer(("127.0.0.1", tcp), path, tcp_headers, **load),
                               lambda: hammer(("127.0.0.1", unix), path, unix_headers, **load))
                pair.pop("ours_us", None)
                report.compare(f"{what}, {c} connections", pair, at_least=goal)
        rss, pss = memory(relay_of(hydra, "on-tcp"))
        report.add("memory of what hands the bytes on: PSS", pss, "MiB", note=f"RSS {rss:.1f} MiB")
        starts = {name: statistics.median(starting(hydra, name) for _ in range(o.rounds)) for name in ("on-tcp", "on-socket")}
        report.add("from its container to its first answer", starts["on-tcp"], "s", starts["on-socket"], starts["on-tcp"] / starts["on-socket"])


def starting(hydra, name):
    assert hydra.admin().delete(f"devices/{name}").status_code == 200
    hydra.wait_gone(name)
    hydra.create_device(name, sandboxName=name)
    hydra.wait_phase(name, "Running", 120)
    return hydra.device(name)["status"]["timings"]["starting"]
