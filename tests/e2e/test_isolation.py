"""What a student can do from inside an environment to others, to the server and to the host: nothing. Real containers, real Jupyter."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest
from inside import (PYTHON, SOCKET, Hostile, container, delete_users, engine_socket, host_id, make_sandbox, socket_on_host, source,
                    start_hostile, start_jupyter, status_of, statuses)
from support.instance import wait_until

pytestmark = pytest.mark.root

RANGE = 65536
A, B, CAROL = "iso-anna", "iso-ben", "iso-carol"
MS_REMOUNT, MS_BIND, GUARDED = 32, 4096, 2 | 4 | 8  # nosuid, nodev, noexec
NOSYMFOLLOW = 256
libc = ctypes.CDLL(None, use_errno=True)


class World:
    def __init__(self, hydra):
        self.hydra = hydra
        make_sandbox(hydra)
        for name in (A, B, CAROL):
            hydra.create_user(name)
        hydra.create_device(CAROL, sandboxName="hostile", deviceRam="512", deviceCpu="500")
        self.anna, self.ben = start_jupyter(hydra, A, B, users=False)
        hydra.wait_phase(CAROL, "Running", 120)
        self.carol = Hostile(hydra, CAROL)
        answer = self.anna.session.post(self.anna.base + "/api/terminals", headers={"Origin": self.anna.base}, json={})
        assert answer.status_code == 200, answer.text  # a shell is among A's processes
        self.sockets = {name: socket_on_host(hydra, name) for name in (A, B, CAROL)}

    def targets(self):
        """Sockets that are nobody's business inside: what they are → where the host has them."""
        runtime = self.hydra.runtime
        return {"gateway": runtime / "gateway/gateway.sock", "auth": runtime / "gateway/auth.sock", "runner": runtime / "runner/runner.sock",
                "logs": runtime / "server/logs.sock", "engine": engine_socket(self.hydra), "B": self.sockets[B]}

    def close(self):
        """Users too: as long as there is one, a port is theirs."""
        names = [u["metadata"]["name"] for u in self.hydra.admin().get("openhydrausers").json()["items"] if u["metadata"]["name"].startswith("iso-")]
        delete_users(self.hydra, *names)


@pytest.fixture(scope="module")
def world(hydra):
    w = World(hydra)
    yield w
    w.close()


# ---- what there is to be seen and reached ---------------------------------------------------------------------------------


def test_others_are_not_there(world):
    """Neither paths nor sockets nor processes of the host or of others exist inside."""
    paths = {**world.targets(), "homes": world.hydra.data / "workspace", "database": world.hydra.data / "server",
             "kubeconfig": world.hydra.kubeconfig, "B's home": source(world.hydra, B, "/home/student")}
    for path in paths.values():
        assert pathlib.Path(path).exists(), path  # on the host
    seen = world.anna.run("""
        import os, socket
        found = []
        for path in paths:
            for root in ('', '/proc/1/root', '/proc/self/root', '/proc/1/cwd/' + '../' * 12):
                s = socket.socket(socket.AF_UNIX)
                try:
                    s.connect(root + path)
                    found.append(root + path)
                except OSError:
                    pass
                if os.path.lexists(root + path):
                    found.append(root + path)
        return found""", paths=[str(p) for p in paths.values()])
    assert seen == []
    commands = world.anna.run("""
        import glob
        return [open(p, 'rb').read().decode(errors='replace') for p in glob.glob('/proc/[0-9]*/cmdline')]""")
    assert commands and not [c for c in commands if "nginx" in c or "open-hydra-server" in c or "conmon" in c]
    assert world.anna.run("import glob\nreturn len(glob.glob('/proc/[0-9]*'))") < 20
    # B is there all right, for its owner.
    assert world.ben.session.get(world.ben.base + "/api").status_code == 200


def test_nothing_is_shared_with_host_or_others(world):
    pids = {name: container(world.hydra, name)["State"]["Pid"] for name in (A, B)}
    pids["host"] = os.getpid()
    for kind in ("user", "pid", "net", "mnt", "ipc", "uts"):
        assert len({os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids.values()}) == 3, kind


def test_no_network(world):
    """Its own empty loopback, where not even the host's abstract sockets can be reached."""
    hydra, name = world.hydra, "\0open-hydra-test-" + str(os.getpid())
    hosts = {"127.0.0.1"}
    with contextlib.suppress(socket.gaierror):  # a machine need not know its own name
        hosts |= {a[4][0] for a in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    hosts |= set(re.findall(r"-- ([\d.]+)\n\s+/32 host LOCAL", pathlib.Path("/proc/net/fib_trie").read_text()))
    ports = [hydra.dashboard_port, hydra.api_port, *range(hydra.environment_ports[0], hydra.environment_ports[0] + 4), 22, 30001, 30443]
    with socket.socket(socket.AF_UNIX) as abstract, socket.create_connection(("127.0.0.1", hydra.dashboard_port)):
        abstract.bind(name)
        abstract.listen()
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(name)
        found = world.anna.run("""
            import errno, os, socket
            found = {'interfaces': sorted(os.listdir('/sys/class/net')), 'reached': [], 'errors': []}
            def attempt(family, address):
                with socket.socket(family, socket.SOCK_STREAM) as s:
                    s.settimeout(5)
                    try:
                        s.connect(address)
                        found['reached'].append(address)
                    except OSError as e:
                        found['errors'].append(errno.errorcode.get(e.errno, str(e)))
            for host in hosts:
                for port in ports:
                    attempt(socket.AF_INET, (host, port))
            for host in ('::1', 'fe80::1', '2001:db8::1'):
                attempt(socket.AF_INET6, (host, ports[0]))
            attempt(socket.AF_UNIX, abstract)
            try:
                socket.getaddrinfo('example.org', 80)
                found['reached'].append('DNS')
            except OSError:
                pass
            for family in (socket.AF_INET, socket.AF_INET6, socket.AF_PACKET):
                try:
                    socket.socket(family, socket.SOCK_RAW, 1).close()
                    found['reached'].append('raw socket')
                except OSError:
                    pass
            return found""", hosts=sorted(hosts | {"127.0.0.1", "169.254.169.254", "10.88.0.1", "192.0.2.1"}), ports=ports, abstract=name)
    assert found["reached"] == [] and found["interfaces"] == ["lo"]
    assert set(found["errors"]) <= {"ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "ENETDOWN", "EINVAL"}, set(found["errors"])


def test_a_cookie_opens_its_own_environment_alone(world):
    """At the ports: A's cookie and A's ticket are worth nothing at B's."""
    hydra = world.hydra
    own, port = next(c for c in world.anna.session.cookies), hydra.device(B)["status"]["port"]
    base = f"http://127.0.0.1:{port}"
    user = hydra.login(A, "password")
    assert user.post(f"devices/{B}/ticket", json={}).status_code in (403, 404)
    for name in (own.name, re.sub(r"\d+$", str(port), own.name)):
        answer = user.get(f"{base}/api", headers={"Cookie": f"{name}={own.value}"}, allow_redirects=False)
        assert answer.status_code in (401, 403), (name, answer.status_code)
    ticket = user.post(f"devices/{A}/ticket", json={}).json()["status"]["url"]
    assert user.get(re.sub(r":\d+/", f":{port}/", ticket), allow_redirects=False, headers={"Cookie": ""}).status_code == 403


# ---- links ------------------------------------------------------------------------------------------------------------------


def follow_links(path, on):
    """Takes the guard off, or puts it on again, on the host's side of the mount."""
    flags = MS_REMOUNT | MS_BIND | GUARDED | (0 if on else NOSYMFOLLOW)
    if libc.mount(None, os.fsencode(path), None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def plant(kernel, target):
    kernel.run("""
        import os
        if not os.path.lexists(path + '.kept'):
            os.rename(path, path + '.kept')
        else:
            os.unlink(path)
        os.symlink(target, path)""", path=SOCKET, target=str(target))


def unplant(kernel):
    kernel.run("import os\nos.unlink(path)\nos.rename(path + '.kept', path)", path=SOCKET)


def test_a_link_in_place_of_the_socket_is_not_followed(world):
    session, base = world.anna.session, world.anna.base
    folder = pathlib.Path(world.sockets[A]).parent
    relative = f"../{pathlib.Path(world.sockets[B]).parent.name}/{pathlib.Path(SOCKET).name}"

    def ask(path="/api"):
        return session.get(base + path, headers={"Accept": "text/html"}, allow_redirects=False)

    try:
        for what, target in {**world.targets(), "B, relative": relative}.items():
            plant(world.anna, target)
            assert (folder / target).exists(), what  # it leads somewhere
            for path in ("/api", "/healthz", "/apis/open-hydra-server.openhydra.io/v1/devices", "/_ping"):
                answer = ask(path)
                assert answer.status_code == 502 and "Retry-After" in answer.headers, (what, path, answer.status_code, answer.text)
                assert "<html" in answer.text and "version" not in answer.text
        # It is the guard that keeps nginx from it: without, A's cookie opens B's environment.
        plant(world.anna, world.sockets[B])
        follow_links(folder, True)
        try:
            assert ask().status_code == 200
        finally:
            follow_links(folder, False)
        assert ask().status_code == 502
    finally:
        unplant(world.anna)
    assert ask().json()["version"]


def test_links_in_the_home_are_not_followed(world):
    """The runner makes folders in a home at each start, as root: a link there would make them elsewhere."""
    hydra = world.hydra
    trap = hydra.home / "trap"
    trap.mkdir(mode=0o755)
    ways = {"iso-link1": ".local", "iso-link2": ".local/share", "iso-link3": ".local/share/jupyter"}
    for name, students in zip(ways, start_hostile(hydra, *ways)):
        students.run(f"""
            import os, shutil
            shutil.rmtree('/home/student/.local')
            os.makedirs(os.path.dirname('/home/student/{ways[name]}'), exist_ok=True)
            os.symlink('{trap}', '/home/student/{ways[name]}')""")
    for name in ways:
        assert hydra.admin().delete(f"devices/{name}").status_code == 200
    for name in ways:
        hydra.wait_gone(name)
    for name, way in zip(ways, start_hostile(hydra, *ways, create=False)):
        assert way.run(f"import os; result = os.readlink('/home/student/{ways[name]}')") == str(trap)
        hydra.admin().delete(f"devices/{name}")
    assert list(trap.iterdir()) == [] and (trap.stat().st_uid, trap.stat().st_mode & 0o7777) == (0, 0o755)
    for name in ways:
        hydra.wait_gone(name)


def test_a_link_in_place_of_a_home_is_refused(world):
    """No student can make one; should one be there, no environment has what it leads to as its home."""
    hydra, name = world.hydra, "iso-link4"
    hydra.create_user(name)
    (hydra.data / "workspace/hostile" / name).symlink_to("/etc")
    hydra.create_device(name, sandboxName="hostile")
    assert hydra.wait_phase(name, "Failed")["status"]["reason"] == "HomeRefused"
    hydra.admin().delete(f"devices/{name}")
    hydra.wait_gone(name)


# ---- who one is -------------------------------------------------------------------------------------------------------------


def ranges(world):
    return {name: range(host_id(world.hydra, name), host_id(world.hydra, name) + RANGE) for name in (A, B, CAROL)}


def test_host_ids_are_each_users_own(world):
    hydra, own = world.hydra, ranges(world)
    for device in hydra.admin().get("devices").json()["items"]:
        for name, ids in own.items():
            assert device["metadata"]["name"] == name or device["status"].get("hostId") not in ids
    service = {int(status_of(hydra.child(child))["Uid"].split()[0]) for child in ("server", "runner", "nginx")}
    for name, ids in own.items():
        found = statuses(container(hydra, name)["State"]["Pid"])
        for status in found:
            for line in ("Uid", "Gid", "Groups"):
                assert {int(n) for n in status[line].split()} <= {ids[1000]}, (name, status)
        assert not service & set(ids)
        others = pathlib.Path("/etc/passwd").read_text().splitlines()
        assert not {int(line.split(":")[2]) for line in others} & set(ids)
        assert found


def test_files_on_disk_are_each_users_own(world):
    world.anna.run("import os\nopen('/home/student/mine', 'w').write('x')\nos.makedirs('/home/student/a/b', exist_ok=True)")
    for name, ids in ranges(world).items():
        home = pathlib.Path(source(world.hydra, name, "/home/student"))
        real = world.hydra.data / "workspace" / ("hostile" if name == CAROL else "jupyter-lab") / name
        assert home.samefile(real) and home.stat().st_mode & 0o7777 == 0o700
        for path in [home, *home.rglob("*")]:
            with contextlib.suppress(FileNotFoundError):  # Jupyter's own, which come and go
                assert (path.lstat().st_uid, path.lstat().st_gid) == (ids[1000], ids[1000]), path
    # Not even the range's own root outside; ids beyond it cannot be named.
    assert world.anna.run("""
        import os
        done = []
        for uid in (0, 1, 65535, 65536, 1 << 31):
            try:
                os.chown('/home/student/mine', uid, uid)
                done.append(uid)
            except OSError:
                pass
        return done""") == []


def test_setuid_does_nothing(world):
    """Neither the image's programs nor one that is root's in the home (which only root of the host can put there)."""
    home = pathlib.Path(source(world.hydra, A, "/home/student"))
    first = host_id(world.hydra, A)
    for name, owner in (("inner", first), ("outer", 0)):
        program = home / name
        program.write_bytes(pathlib.Path("/usr/bin/env").read_bytes())
        os.chown(program, owner, owner)
        program.chmod(0o6755)
    found = world.anna.run("""
        import glob, os, stat, subprocess
        found = {'ids': [], 'setuid': [p for p in glob.glob('/usr/bin/*') if os.stat(p).st_mode & stat.S_ISUID]}
        look = "import os; print(*os.getresuid(), *os.getresgid())"
        for name in ('inner', 'outer'):
            found['ids'].append(subprocess.check_output(['/home/student/' + name, python, '-c', look], text=True).split())
        for command in (['su', '-c', 'id'], ['mount', '-t', 'tmpfs', 'x', '/mnt'], ['newgrp', 'root'], ['chsh', '-s', '/bin/bash', 'root']):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            found.setdefault('done', []).append(done.returncode == 0 and 'uid=0' in done.stdout or command[0] == 'mount' and done.returncode == 0)
        return found""", python=PYTHON)
    for name in ("inner", "outer"):
        (home / name).unlink()
    assert found["ids"] == [["1000"] * 6] * 2 and found["setuid"] and not any(found["done"])


def test_no_privileges_inside(world):
    for name in (A, B, CAROL):
        for status in statuses(container(world.hydra, name)["State"]["Pid"]):
            assert {int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}, (name, status)
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    refused = world.anna.run("""
        import ctypes, errno, os
        libc, found = ctypes.CDLL(None, use_errno=True), {}
        def call(name, done):
            found[name] = 'done' if done >= 0 else errno.errorcode[ctypes.get_errno()]
        call('mount', libc.mount(b'x', b'/mnt', b'tmpfs', 0, None))
        call('remount', libc.mount(b'x', b'/', None, 32, None))
        call('umount', libc.umount(b'/run/open-hydra'))
        call('mknod', libc.mknod(b'/home/student/disk', 0o60600, os.makedev(8, 0)))
        call('chroot', libc.chroot(b'/tmp'))
        call('setuid', libc.setuid(0))
        call('sethostname', libc.sethostname(b'x', 1))
        call('reboot', libc.reboot(0x01234567))
        call('bpf', libc.syscall(321, 0, 0, 0))
        call('perf_event_open', libc.syscall(298, 0, 0, -1, -1, 0))
        call('kexec_load', libc.syscall(246, 0, 0, 0, 0))
        call('init_module', libc.syscall(175, 0, 0, 0))
        call('open_by_handle_at', libc.syscall(304, -100, 0, 0))
        call('userfaultfd', libc.syscall(323, 0))
        call('swapon', libc.swapon(b'/dev/null', 0))
        call('settime', libc.syscall(227, 0, b'\\0' * 16))
        call('nice', libc.setpriority(0, 0, -10))
        return found""")
    assert "done" not in refused.values(), refused


def test_keys_of_the_kernels_keyrings_are_each_users_own(world):
    add = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        return [libc.syscall(248, b'user', b'open-hydra-test', b'secret', 6, ctypes.c_int(ring)) for ring in (-3, -4, -5)]"""
    find = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        return [libc.syscall(250, 10, ctypes.c_int(ring), b'user', b'open-hydra-test', 0) for ring in (-3, -4, -5)]"""
    if max(world.anna.run(add)) > 0:  # some engines' filters refuse it altogether
        assert max(world.anna.run(find)) > 0
    assert max(world.ben.run(find)) < 0


# ---- what one can write to ----------------------------------------------------------------------------------------------------


def test_only_a_few_places_can_be_written(world):
    """And nothing else, not even by root inside (which nobody is): the root and all that the kernel shows are read-only."""
    written = world.anna.run("""
        import os
        places, written = set(), []
        for line in open('/proc/self/mountinfo'):
            places.add(line.split()[4])
        for folder, below, _ in os.walk('/'):
            if folder.count('/') > 3 or folder.startswith(('/proc', '/home/student', '/tmp')):
                below.clear()
            places.add(folder)
        for place in sorted(places):
            if os.path.isdir(place):
                try:
                    os.close(os.open(place + '/probe', os.O_CREAT | os.O_WRONLY))
                    os.unlink(place + '/probe')
                    written.append(place)
                except OSError:
                    pass
        return written""")
    assert set(written) - {"/dev/mqueue"} == {"/home/student", "/tmp", "/run/open-hydra", "/dev/shm"}
    fields = [line.split() for line in world.carol.run("result = open('/proc/self/mountinfo').read()").splitlines()]
    options = {f[4]: (set(f[5].split(",")), f[-1]) for f in fields}
    assert "ro" in options["/"][0]
    for place in ("/home/student", "/tmp", "/run/open-hydra", "/dev/shm"):
        assert {"nosuid", "nodev"} <= options[place][0], place
    assert "noexec" in options["/run/open-hydra"][0]
    # Whoever is root inside (sandboxes may say so) still cannot write to the root.
    for path in ("/etc/passwd", "/usr/bin/env", "/opt/jupyter/bin/start"):
        assert world.anna.run("import os\nreturn os.statvfs(path).f_flag & os.ST_RDONLY", path=path)


def test_the_kernels_files_are_masked(world):
    found = world.anna.run("""
        import glob, os
        found = {'readable': [], 'writable': []}
        for path in ('/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/sched_debug', '/proc/latency_stats', '/proc/kmsg', '/proc/cmdline', '/dev/mem',
                     '/dev/kmsg', '/dev/port', *glob.glob('/sys/firmware/*'), *glob.glob('/proc/acpi/*'), *glob.glob('/proc/scsi/*'),
                     *glob.glob('/sys/kernel/debug/*'), *glob.glob('/sys/dev/block/*')):
            try:
                if os.path.isdir(path) or open(path, 'rb').read(1):
                    found['readable'].append(path)
            except OSError:
                pass
        for path in ('/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/vm/drop_caches',
                     '/proc/sys/net/ipv4/ip_forward', '/proc/irq/default_smp_affinity', '/sys/kernel/uevent_helper', '/sys/power/state',
                     '/proc/self/oom_score_adj', '/sys/fs/cgroup/pids/cgroup.procs', '/sys/fs/cgroup/memory/memory.limit_in_bytes',
                     '/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/cgroup.procs'):
            try:
                fd = os.open(path, os.O_WRONLY)
                os.close(fd)
                found['writable'].append(path)
            except OSError:
                pass
        fd = os.open('/proc/self/oom_score_adj', os.O_RDWR)
        try:
            os.write(fd, b'%d' % (int(os.read(fd, 16)) - 1))
            found['writable'].append('oom_score_adj below its own')
        except OSError:
            pass
        os.close(fd)
        found['devices'] = sorted(n for n in os.listdir('/dev') if not os.path.islink('/dev/' + n) and not os.path.isdir('/dev/' + n))
        return found""")
    assert found["readable"] == [] and set(found["writable"]) <= {"/proc/self/oom_score_adj"}, found
    assert set(found["devices"]) <= {"console", "full", "null", "random", "tty", "urandom", "zero"}


def test_the_hosts_names_are_not_known(world):
    """What runs beside the host is nobody's business: /etc/hosts has the environment's own name, and not the host's list."""
    lines = world.anna.run("return open('/etc/hosts').read()").splitlines()
    names = {name for line in lines for name in line.partition("#")[0].split()[1:]}
    own = world.anna.run("import socket\nreturn socket.gethostname()")
    assert names <= {"localhost", own, container(world.hydra, A)["Name"].lstrip("/"), "host.containers.internal", "host.docker.internal"} and own in names, lines
    assert all(line.startswith(("127.", "::1", "#")) for line in lines if line.strip()), lines


def test_temporary_files_are_limited(world):
    resources = world.hydra.device(A)["status"]["resources"]
    for place, said in (("/tmp", "tmp"), ("/dev/shm", "shm")):
        most = int(resources[said].removesuffix("Mi")) << 20
        assert most << 1 == int(resources["memory"].removesuffix("Mi")) << 20, resources
        code = world.anna.run("""
            import errno, os
            fd = os.open(place + '/large', os.O_CREAT | os.O_RDWR)
            try:
                os.posix_fallocate(fd, 0, most + 1)
                return 'done'
            except OSError as e:
                return errno.errorcode[e.errno]
            finally:
                os.close(fd)
                os.unlink(place + '/large')""", place=place, most=most)
        assert code == "ENOSPC", place


def test_the_sockets_folder_cannot_be_filled(world):
    found = world.carol.run("""
        import errno, os
        result = {'bytes': 0, 'files': 0}
        folder = '/run/open-hydra/'
        try:
            with open(folder + 'large', 'wb', 0) as f:
                while True:
                    result['bytes'] += f.write(b'x' * 4096)
        except OSError as e:
            result['full'] = errno.errorcode[e.errno]
        os.unlink(folder + 'large')
        try:
            while True:
                os.close(os.open(folder + str(result['files']), os.O_CREAT | os.O_WRONLY))
                result['files'] += 1
        except OSError as e:
            result['crowded'] = errno.errorcode[e.errno]
        for i in range(result['files']):
            os.unlink(folder + str(i))""")
    assert found["full"] == found["crowded"] == "ENOSPC"
    assert 0 < found["bytes"] <= 64 << 10 and 0 < found["files"] < 16


def test_the_sockets_folder_cannot_be_opened_to_others(world):
    """chmod is possible, and of no use: the folders above keep everybody else out."""
    hydra, folder = world.hydra, pathlib.Path(world.sockets[A]).parent
    world.anna.run("import os\nos.chmod('/run/open-hydra', 0o777)\nos.chmod(path, 0o777)", path=SOCKET)
    try:
        assert folder.stat().st_mode & 0o7777 == 0o777
        server = int(status_of(hydra.child("server"))["Uid"].split()[0])
        for uid in (host_id(hydra, B) + 1000, host_id(hydra, A) + 1000, host_id(hydra, A), server, 65534):
            assert attempts(uid, world.sockets[A], folder) == {"connect": "EACCES", "list": "EACCES"}, uid
    finally:
        world.anna.run("import os\nos.chmod('/run/open-hydra', 0o710)")
    for path, mode in ((hydra.runtime / "env", 0o710), (hydra.data / "workspace", 0o700)):
        assert path.stat().st_mode & 0o7777 == mode and path.stat().st_uid == 0


def attempts(uid, path, folder):
    """What a process of that user gets."""
    script = """
import errno, json, os, socket, sys
def attempt(f):
    try:
        f()
        return 'done'
    except OSError as e:
        return errno.errorcode[e.errno]
print(json.dumps({'connect': attempt(lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[1])), 'list': attempt(lambda: os.listdir(sys.argv[2]))}))"""
    out = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "/usr/bin/python3", "-c", script, str(path), str(folder)],
                         capture_output=True, text=True, check=True, cwd="/")
    return json.loads(out.stdout)


# ---- how much one can take ----------------------------------------------------------------------------------------------------


def cgroup_value(pid, controller, old, new):
    """A limit of the control group of a process, by its file's name in version 1 and in version 2."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for folder, name in ((f"/sys/fs/cgroup/{controller}{path}", old), (f"/sys/fs/cgroup{path}", new)):
            file = pathlib.Path(folder) / name
            if (controller in controllers.split(",") or not controllers) and file.exists():
                return file.read_text()
    raise AssertionError(f"no {controller} of {pid}")


def test_limits_are_what_was_asked_for(world):
    device = world.hydra.device(CAROL)
    assert device["status"]["resources"] == {"cpu": "500m", "memory": "512Mi", "shm": "256Mi", "tmp": "256Mi", "pids": 256}
    enforced = next(c for c in device["status"]["conditions"] if c["type"] == "ResourceLimitsEnforced")
    assert enforced["status"] == "True", enforced
    pid = container(world.hydra, CAROL)["State"]["Pid"]
    assert int(cgroup_value(pid, "memory", "memory.limit_in_bytes", "memory.max")) == 512 << 20
    assert int(cgroup_value(pid, "pids", "pids.max", "pids.max")) == device["status"]["resources"]["pids"]
    try:
        quota, period = cgroup_value(pid, "cpu", "none", "cpu.max").split()
    except AssertionError:
        quota, period = (cgroup_value(pid, "cpu", f"cpu.cfs_{n}_us", "none") for n in ("quota", "period"))
    assert int(quota) * 2 == int(period)


def processor_seconds(pid):
    try:
        return int(cgroup_value(pid, "cpuacct", "cpuacct.usage", "none")) / 1e9
    except AssertionError:
        return int(re.search(r"usage_usec (\d+)", cgroup_value(pid, "cpu", "none", "cpu.stat")).group(1)) / 1e6


def test_processor_time_is_limited(world):
    """Two that want all of it get half a processor's together, at most: on a busy machine it may be less."""
    pid = container(world.hydra, CAROL)["State"]["Pid"]
    begin, before = time.monotonic(), processor_seconds(pid)
    world.carol.run(f"import subprocess\nfor _ in range(2):\n    subprocess.Popen(['{PYTHON}', '-c', 'while True: pass'])\nresult = None")
    try:
        wait_until(lambda: processor_seconds(pid) > before + 1, 120, what="a second of it")
        used = processor_seconds(pid) - before
        assert used <= 0.5 * (time.monotonic() - begin) + 0.2
    finally:
        world.carol.run("import os, signal, glob\nfor p in glob.glob('/proc/[0-9]*/cmdline'):\n"
                        "    if b'while True: pass' in open(p, 'rb').read() and not p.startswith('/proc/1/'):\n        os.kill(int(p.split('/')[2]), signal.SIGKILL)")


BOMB = """import errno, json, os, signal
pids, why = [], None
while len(pids) < 20000:
    try:
        pid = os.fork()
    except OSError as e:
        why = errno.errorcode[e.errno]
        break
    if pid == 0:
        signal.pause()
    pids.append(pid)
for pid in pids:
    os.kill(pid, signal.SIGKILL)
for pid in pids:
    os.waitpid(pid, 0)
print(json.dumps([len(pids), why]))
"""


def test_a_fork_bomb_is_bounded(world):
    limit = world.hydra.device(B)["status"]["resources"]["pids"]
    found = world.ben.run("""
        import json, subprocess
        return json.loads(subprocess.check_output([python, '-c', bomb], text=True))""", python=PYTHON, bomb=BOMB)
    assert found[1] == "EAGAIN" and limit // 2 < found[0] < limit, (found, limit)
    # Neither it nor its neighbours took harm.
    assert world.ben.run("return 1 + 1") == world.anna.run("return 1 + 1") == 2


HOG = "kept = []\nwhile True:\n    kept.append(bytearray(4 << 20))"


def test_a_cell_that_takes_too_much_memory(world):
    """The kernel ends what is largest, the environment goes on."""
    code = world.carol.run(f"import subprocess\nresult = subprocess.run(['{PYTHON}', '-c', {HOG!r}]).returncode")
    assert code == -9

    def said():
        conditions = world.hydra.device(CAROL)["status"]["conditions"]
        return next((c for c in conditions if c["type"] == "OutOfMemory" and c["status"] == "True"), None)

    assert "all 512 MiB" in wait_until(said, 30, what="OutOfMemory")["message"]
    assert world.carol.run("result = 1 + 1") == 2 and world.hydra.device(CAROL)["status"]["phase"] == "Running"


def test_an_environment_that_takes_too_much_memory(world):
    """It is started again with the reason said; when that does not help, it has failed."""
    hydra, name = world.hydra, "iso-hog"
    mallory, = start_hostile(hydra, name, deviceRam="64")

    def reasons():
        return hydra.device(name)["status"]

    first = hydra.device(name)["status"]["startedAt"]
    uid = container(hydra, name)["Id"]
    mallory.control("hog")
    status = wait_until(lambda: (s := reasons()) and s["reason"] == "OutOfMemory" and s, 60, every=0.01, what="OutOfMemory")
    assert "memory" in status["message"]
    recovered = 0
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        running = wait_until(lambda: (s := reasons())["phase"] in ("Running", "Failed") and s, 60, what="an end")
        if running["phase"] == "Failed":
            break
        try:
            again = Hostile(hydra, name)
            assert container(hydra, name)["Id"] != uid
            again.control("hog")
        except (OSError, AssertionError, StopIteration):
            time.sleep(0.2)  # it is just being started again
            continue
        recovered += 1
        wait_until(lambda: reasons()["phase"] != "Running", 60, every=0.01, what="noticed")
    assert running["phase"] == "Failed" and running["reason"] == "OutOfMemory" and "memory" in running["message"], running
    assert recovered and first and "hostile environment listens" in json.dumps(running.get("log", "")), running
    hydra.admin().delete(f"devices/{name}")
    hydra.wait_gone(name)
