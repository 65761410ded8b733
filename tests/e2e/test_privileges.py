"""What each process may do, by what the kernel says of it and by trying as its user: a server that is taken over gains nothing."""
import base64
import json
import os
import pathlib
import re
import stat
import subprocess

import pytest
from inside import Hostile, delete_users, engine_socket, host_id, make_sandbox, source, status_of
from support.instance import PROGRAM, wait_until
from support.processes import children, open_files

pytestmark = pytest.mark.root

USER = "priv-dora"
NOBODY = 65534


class World:
    def __init__(self, hydra):
        self.hydra, self.data, self.runtime = hydra, hydra.data, hydra.runtime
        make_sandbox(hydra)
        hydra.create_user(USER)
        hydra.create_device(USER, sandboxName="hostile")
        hydra.wait_phase(USER, "Running", 120)
        self.dora = Hostile(hydra, USER)
        self.dora.run("open('/home/student/diary', 'w').write('x'); result = None")
        self.uid = {name: int(status_of(hydra.child(name))["Uid"].split()[0]) for name in ("server", "runner", "nginx")}
        self.home = pathlib.Path(source(hydra, USER, "/home/student"))

    def secrets(self):
        """What nobody but root may open: the engine, homes, keys. By name, with what one does to it."""
        real = self.data / "workspace/hostile" / USER
        secrets = {"the engine": ("connect", engine_socket(self.hydra)), "its folder": ("list", self.runtime / "engine"),
                   "runner.sock": ("connect", self.runtime / "runner/runner.sock"), "its folder, too": ("list", self.runtime / "runner"),
                   "homes": ("list", self.data / "workspace"), "a home": ("list", real), "a file in it": ("read", real / "diary"),
                   "a home's mount": ("list", self.home), "a file in that": ("read", self.home / "diary"),
                   "kubeconfig": ("read", self.hydra.kubeconfig), "the authority's key": ("read", self.data / "pki/ca.key"),
                   "the server's key": ("read", self.data / "pki/server.key"), "the authority": ("write", self.data / "pki/ca.crt"),
                   "certificates": ("make", self.data / "pki/x"), "the state folder": ("make", self.data / "x"),
                   "the runtime folder": ("make", self.runtime / "x"), "environments": ("make", self.runtime / "env/x"),
                   "ports": ("write", self.runtime / "excluded-ports"), "lock": ("read", self.runtime / "lock"),
                   "an environment's socket folder": ("list", pathlib.Path(self.dora.socket).parent),
                   "a disk": ("read", disk()), "the shadow file": ("read", "/etc/shadow")}
        return {name: (what, path) for name, (what, path) in secrets.items() if path}


def disk():
    """The device that the state is on; in a container there may be none."""
    number = os.stat("/").st_dev
    for path in pathlib.Path("/dev").iterdir():
        if stat.S_ISBLK(path.stat().st_mode) and path.stat().st_rdev == number:
            return path
    return None


@pytest.fixture(scope="module")
def world(hydra):
    w = World(hydra)
    yield w
    delete_users(hydra, USER)


SCRIPT = """
import errno, json, os, socket, sys
DO = {'connect': lambda p: socket.socket(socket.AF_UNIX).connect(p), 'list': os.listdir, 'read': lambda p: open(p, 'rb').read(1),
      'write': lambda p: open(p, 'r+b').close(), 'make': lambda p: os.close(os.open(p, os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
      'kill': lambda p: os.kill(int(p), 0), 'memory': lambda p: open(f'/proc/{p}/mem', 'rb').close(),
      'files': lambda p: os.listdir(f'/proc/{p}/fd')}
found = {}
for name, (what, path) in json.load(sys.stdin).items():
    try:
        DO[what](path)
        found[name] = 'done'
    except OSError as e:
        found[name] = errno.errorcode[e.errno]
json.dump(found, sys.stdout)
"""


def attempts(uid, wanted):
    """What a process of that user gets, with nothing but its uid: «done», or the error's name, for each."""
    wanted = {name: (what, str(path)) for name, (what, path) in wanted.items()}
    out = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs", "/usr/bin/python3", "-c", SCRIPT],
                         input=json.dumps(wanted), capture_output=True, text=True, cwd="/")
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


REFUSED = {"EACCES", "EPERM"}


def assert_refused(found, allowed=()):
    assert {name: how for name, how in found.items() if how not in REFUSED} == dict.fromkeys(allowed, "done")


# ---- what the kernel says ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("child", ["server", "nginx"])
def test_a_user_of_its_own_without_capabilities(world, child):
    pid = world.hydra.child(child)
    own = world.uid[child]
    assert own != 0 and len(set(world.uid.values())) == 3
    accounts = {int(line.split(":")[2]) for line in pathlib.Path("/etc/passwd").read_text().splitlines()}
    assert own not in accounts
    devices = world.hydra.admin().get("devices").json()["items"]
    assert not [d for d in devices if own in range(d["status"].get("hostId", 0), d["status"].get("hostId", 0) + 65536)]
    threads = [int(t) for t in os.listdir(f"/proc/{pid}/task")]
    assert child == "server" or children(pid)
    for each in [*threads, *(children(pid) if child == "nginx" else [])]:
        try:
            status = status_of(each)
        except OSError:
            assert each != pid
            continue  # a thread that has ended
        assert set(map(int, status["Uid"].split())) == set(map(int, status["Gid"].split())) == {own}, status
        assert status["Groups"] == ""
        assert {int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Amb", "Bnd")} == {0}, status
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == ("2" if child == "server" else "0")


def sockets_of(pid):
    """Inodes of its sockets."""
    return {match.group(1) for f in open_files(pid) if (match := re.match(r"socket:\[(\d+)\]", f))}


def network_sockets(pid):
    own, found = sockets_of(pid), []
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            if line.split()[9] in own:
                found.append((kind, line.split()[1], line.split()[3]))
    return found


def listening_paths(pid):
    """The supervisor made them, in its network namespace."""
    own = sockets_of(pid)
    lines = [line.split() for line in pathlib.Path("/proc/self/net/unix").read_text().splitlines()[1:]]
    return {f[7] for f in lines if len(f) > 7 and f[6] in own and f[3] == "00010000"}


def test_only_the_gateway_is_on_the_network(world):
    hydra = world.hydra
    for child in ("server", "runner"):
        assert network_sockets(hydra.child(child)) == [], child
    assert network_sockets(hydra.process.pid) == []
    ports = {int(address.split(":")[1], 16) for kind, address, state in network_sockets(hydra.child("nginx")) if state == "0A"}
    assert ports == {hydra.dashboard_port, hydra.api_port, *range(hydra.environment_ports[0], hydra.environment_ports[1] + 1)}
    addresses = {address.split(":")[0] for _, address, state in network_sockets(hydra.child("nginx")) if state == "0A"}
    assert addresses == {"0100007F"}  # 127.0.0.1: nothing for the world unless it is asked for


def test_the_server_has_no_network(world):
    """Not even loopback: what it can be made to do cannot leave the machine, nor reach what listens on it."""
    pid = world.hydra.child("server")
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    out = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert [line for line in out.splitlines() if ",UP" in line or "<UP" in line] == []
    out = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "/usr/bin/python3", "-c",
                          f"import socket; socket.create_connection(('127.0.0.1', {world.hydra.dashboard_port}), 5)"], capture_output=True, text=True)
    assert "unreachable" in out.stderr, out.stderr


def test_names_of_the_processes(world):
    """`ps` says which is which, and shows no argument."""
    hydra = world.hydra
    for pid, title in ((hydra.process.pid, "supervisor (run)"), (hydra.child("server"), "server"), (hydra.child("runner"), "runner")):
        shown = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout.strip()
        assert shown == f"open-hydra-server: {title}"
        assert not pathlib.Path(f"/proc/{pid}/environ").read_bytes().strip(b"\0"), "variables of whoever started it"


def test_what_a_process_has_inherited(world):
    """Neither an open file nor a listening socket of somebody else's."""
    hydra = world.hydra
    for pid in (hydra.child("nginx"), *children(hydra.child("nginx"))):
        assert listening_paths(pid) == set()
        assert not [f for f in open_files(pid) if f.startswith("/") and f != "/dev/null" and
                    not f.startswith((str(world.data / "gateway"), str(world.runtime / "nginx")))]
    files = open_files(hydra.child("server"))
    # The locks are held by all children of one start, so that none comes beside what is left of another.
    allowed = (str(world.data / "server"), "/dev/null", "/dev/urandom", str(world.runtime / "lock"), str(world.data / "lock"))
    # What it unpacks uploads with, and into.
    allowed += (str(world.data / "public-dataset"), str(world.data / "public-course"), str(PROGRAM.parent / "open-hydra-unpack"))
    assert not [f for f in files if f.startswith("/") and not f.startswith(allowed)]
    names = {pathlib.Path(path).name for path in listening_paths(hydra.child("server"))}
    assert {"gateway.sock", "auth.sock", "runner.sock"} <= names <= {"gateway.sock", "auth.sock", "runner.sock", "logs.sock"}


# ---- as its user --------------------------------------------------------------------------------------------------------------


def test_the_servers_user_opens_nothing_of_others(world):
    own = {"database": ("read", world.data / "server/open-hydra.db"), "logs.sock": ("connect", world.runtime / "server/logs.sock")}
    gateways = {"gateway.sock": ("connect", world.runtime / "gateway/gateway.sock"), "auth.sock": ("connect", world.runtime / "gateway/auth.sock"),
                "nginx.conf": ("read", world.data / "gateway/nginx.conf"), "its key": ("read", world.data / "gateway/pki/server.key"),
                "an environment's socket": ("connect", world.dora.socket)}
    processes = {f"{what} of {name}": (what, world.hydra.child(name)) for what in ("kill", "memory", "files") for name in ("runner", "nginx")}
    assert_refused(attempts(world.uid["server"], {**world.secrets(), **own, **gateways, **processes}), own)


def test_the_gateways_user_opens_nothing_of_others(world):
    own = {"gateway.sock": ("connect", world.runtime / "gateway/gateway.sock"), "auth.sock": ("connect", world.runtime / "gateway/auth.sock"),
           "nginx.conf": ("read", world.data / "gateway/nginx.conf"), "an environment's socket": ("connect", world.dora.socket)}
    servers = {"database": ("read", world.data / "server/open-hydra.db"), "log of the database": ("read", world.data / "server/open-hydra.db-wal"),
               "logs.sock": ("connect", world.runtime / "server/logs.sock"), "its folder, three": ("list", world.data / "server")}
    processes = {f"{what} of {name}": (what, world.hydra.child(name)) for what in ("kill", "memory", "files") for name in ("runner", "server")}
    assert_refused(attempts(world.uid["nginx"], {**world.secrets(), **own, **servers, **processes}), own)


@pytest.mark.parametrize("who", ["nobody", "student", "student's root"])
def test_other_users_open_nothing_at_all(world, who):
    first = host_id(world.hydra, USER)
    uid = {"nobody": NOBODY, "student": first + 1000, "student's root": first}[who]
    wanted = {**world.secrets(), "database": ("read", world.data / "server/open-hydra.db"), "logs.sock": ("connect", world.runtime / "server/logs.sock"),
              "gateway.sock": ("connect", world.runtime / "gateway/gateway.sock"), "auth.sock": ("connect", world.runtime / "gateway/auth.sock"),
              "nginx.conf": ("read", world.data / "gateway/nginx.conf"), "an environment's socket": ("connect", world.dora.socket)}
    processes = {f"{what} of {name}": (what, world.hydra.child(name))
                 for what in ("kill", "memory", "files") for name in ("runner", "server", "nginx")}
    assert_refused(attempts(uid, {**wanted, **processes}))


def test_the_second_check_of_who_is_asking(world):
    """Even where a socket's folder were open, the server answers to one user alone on each of its sockets."""
    moved = world.hydra.home / "open"
    moved.mkdir(mode=0o755)
    try:
        for name, folder, owner in (("gateway.sock", "gateway", "nginx"), ("auth.sock", "gateway", "nginx"), ("runner.sock", "runner", "runner")):
            link = moved / name
            os.link(world.runtime / folder / name, link)
            before = link.stat()
            link.chmod(0o666)
            try:
                for uid in {*world.uid.values(), NOBODY}:
                    answered = first_line(uid, link, "/healthz") != "closed"
                    assert answered == (uid in (0, world.uid[owner])), (name, uid)
            finally:
                link.chmod(before.st_mode & 0o7777)
                link.unlink()
    finally:
        moved.rmdir()


def first_line(uid, path, target):
    """The status of an answer, or what came instead."""
    script = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
try:
    s.sendall(f'GET {sys.argv[2]} HTTP/1.1\\r\\nHost: 127.0.0.1:30001\\r\\nConnection: close\\r\\n\\r\\n'.encode())
    print((s.recv(4096).decode() or 'closed closed').split()[1])
except OSError as e:
    print('closed')
"""
    out = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "/usr/bin/python3", "-c", script, str(path), target],
                         capture_output=True, text=True, cwd="/")
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


# ---- files ----------------------------------------------------------------------------------------------------------------------


def test_modes_are_as_documented(world):
    """The table of src/cli/layout.h."""
    server, gateway = world.uid["server"], world.uid["nginx"]
    table = {
        world.data: (0o711, 0, 0), world.data / "kubeconfig": (0o600, 0, 0), world.data / "server": (0o700, server, server),
        world.data / "pki": (0o755, 0, 0), world.data / "gateway": (0o700, gateway, gateway), world.data / "workspace": (0o700, 0, 0),
        world.data / "workspace/hostile": (0o700, 0, 0),
        world.runtime: (0o711, 0, 0), world.runtime / "gateway": (0o710, 0, gateway), world.runtime / "runner": (0o700, 0, 0),
        world.runtime / "server": (0o710, 0, server), world.runtime / "env": (0o710, 0, gateway), world.runtime / "engine": (0o700, 0, 0),
        world.runtime / "gateway/gateway.sock": (0o660, 0, gateway), world.runtime / "gateway/auth.sock": (0o660, 0, gateway),
        world.runtime / "runner/runner.sock": (0o660, 0, 0), world.runtime / "server/logs.sock": (0o660, 0, server),
        pathlib.Path(world.dora.socket).parent: (0o710, host_id(world.hydra, USER) + 1000, gateway),
        world.home: (0o700, host_id(world.hydra, USER) + 1000, host_id(world.hydra, USER) + 1000)}
    for path, expected in table.items():
        found = path.stat()
        assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == expected, path
    for key in [*world.data.rglob("*.key"), *world.data.rglob("open-hydra.db*")]:
        assert key.stat().st_mode & 0o7777 == 0o600, key


def test_nothing_secret_can_be_read_by_the_world(world):
    out = subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "find", str(world.data), str(world.runtime),
                          "(", "-readable", "-o", "-writable", ")", "(", "-type", "f", "-o", "-type", "s", "-o", "-type", "d", ")"],
                         capture_output=True, text=True, cwd="/")
    readable = {pathlib.Path(line) for line in out.stdout.splitlines()}
    assert {p.relative_to(world.hydra.home).as_posix() for p in readable if p.exists()} <= {
        "data/pki", "data/pki/ca.crt", "data/pki/server.crt", "data/pki/admins", "data/pki/revoked", "run/excluded-ports"}
    for path in readable:
        assert not path.is_file() or b"PRIVATE" not in path.read_bytes()


def test_no_secret_on_a_command_line_or_in_an_environment(world):
    """What `ps` shows to everybody, and what is inherited."""
    token = next(v for k, v in (line.split("=", 1) for line in environment_of(world) if "=" in line) if k == "OPENHYDRA_TOKEN")
    assert len(token) >= 32
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            assert token.encode() not in (folder / "cmdline").read_bytes(), folder
        except OSError:
            continue
    for child in ("server", "nginx"):
        assert token.encode() not in pathlib.Path(f"/proc/{world.hydra.child(child)}/environ").read_bytes()


def environment_of(world):
    return world.dora.run("result = open('/proc/self/environ').read().split('\\0')")


CHUNK = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")


def filled(pid, first, last):
    """Starts of the pieces of a mapping in which something is: of a sanitizer's shadow, terabytes, that is next to nothing."""
    with open(f"/proc/{pid}/pagemap", "rb", 0) as f:
        for at in range(first, last, 512 * CHUNK):
            f.seek(at // PAGE * 8)
            data = f.read(min(last - at, 512 * CHUNK) // PAGE * 8)
            step = CHUNK // PAGE * 8
            for i in range(0, len(data), step):
                if any(byte & 0xC0 for byte in data[i + 7:i + step:8]):  # bit 63: in memory, 62: swapped
                    yield at + i // 8 * PAGE


def memory_holds(pid, needles):
    """Which of them are anywhere in the process's writable memory."""
    found, longest = set(), max(map(len, needles.values()))
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, access = line.split()[:2]
            first, last = (int(n, 16) for n in span.split("-"))
            if not access.startswith("rw") or last - first > 1 << 36:
                continue
            for at in filled(pid, first, last):
                memory.seek(at)
                piece = memory.read(min(CHUNK + longest, last - at))
                found |= {name for name, needle in needles.items() if needle in piece}
    return found


def key_needles(world):
    """The private keys, as text and as numbers."""
    needles = {}
    texts = {"ca": (world.data / "pki/ca.key").read_text(), "server": (world.data / "pki/server.key").read_text()}
    config = pathlib.Path(world.hydra.kubeconfig).read_text()
    encoded = re.search(r"client-key-data: \"?([A-Za-z0-9+/=]+)", config).group(1)
    texts["admin"] = base64.b64decode(encoded).decode()
    needles["admin, in kubeconfig"] = encoded[40:100].encode()
    for name, text in texts.items():
        lines = text.split("-----")[2].split()
        needles[f"{name}, text"] = lines[1][:48].encode()
        out = subprocess.run(["openssl", "pkey", "-noout", "-text"], input=text, capture_output=True, text=True, check=True).stdout
        number = bytes.fromhex(re.sub(r"[\s:]", "", re.search(r"priv:\n([\s0-9a-f:]+)", out).group(1)))[-32:]
        needles[f"{name}, number"] = number
        needles[f"{name}, number as in memory"] = number[::-1]
    return needles


def test_no_private_key_is_in_the_servers_memory(world):
    """It is a child of what has read them: what was read must be gone before."""
    needles = key_needles(world)
    assert memory_holds(world.hydra.child("server"), needles) == set()
    # The gateway has the one that it serves with, and no other.
    gateway = {name for pid in (world.hydra.child("nginx"), *children(world.hydra.child("nginx"))) for name in memory_holds(pid, needles)}
    assert gateway and not {name for name in gateway if not name.startswith("server")}


# ---- after a restart --------------------------------------------------------------------------------------------------------------


def test_a_restarted_server_is_the_same(world):
    """Who starts it again has not forgotten to make it small."""
    hydra = world.hydra
    old = hydra.child("server")
    os.kill(old, 9)
    new = wait_until(lambda: (pid := hydra.child("server")) and pid != old and pid, 30, what="a new server")
    wait_until(lambda: status_of(new)["Uid"].split()[0] != "0", 30, what="its own user")
    wait_until(lambda: hydra.admin().get("/readyz").status_code == 200, 60, what="ready")
    test_a_user_of_its_own_without_capabilities(world, "server")
    assert network_sockets(new) == []
    assert_refused(attempts(world.uid["server"], world.secrets()))
    assert world.dora.run("result = 1 + 1") == 2
