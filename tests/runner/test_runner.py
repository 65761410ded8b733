"""The runner against the real server and the real engine: what a device goes through, and what happens when something dies."""
import contextlib
import errno
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from runner.stack import IMAGE, LABEL, Stack, archive, BUILD
from support.instance import wait_until
from support.processes import is_running
from support.unix import ask

pytestmark = pytest.mark.root


# ---- the way up and down ------------------------------------------------------------------------------------------


def test_start_status_and_end(stack):
    created = stack.create("ada", deviceRam="256", deviceCpu="500")
    status = stack.wait("ada", "Running")
    uid = created["metadata"]["uid"]
    assert status["containerName"] == f"open-hydra-{uid}"
    assert status["resources"] == {"cpu": "500m", "memory": "256Mi", "shm": "128Mi", "tmp": "128Mi", "pids": 256}
    assert set(status["timings"]) == {"queued", "preparing", "starting"}
    assert status["startedAt"] and "log" not in status
    assert stack.condition("ada", "Ready")["status"] == "True"
    assert stack.condition("ada", "UserNamespace")["status"] == str(not stack.docker)
    assert stack.device("ada")["spec"]["deviceStatus"] == "Running"

    assert stack.delete("ada")[0] == 200
    stack.wait_gone("ada")
    assert stack.inspect(uid) is None
    assert stack.mounts() == [] and stack.places() == []


def test_create_delete_create_keeps_the_files(stack):
    for n in range(3):
        stack.create("ada")
        stack.wait("ada", "Running")
        assert stack.inside("ada", f"/write?/home/student/file{n}")[0] == 200
        stack.delete("ada")
        stack.wait_gone("ada")
    home = stack.data / "workspace/plain/ada"
    assert sorted(p.name for p in home.iterdir() if p.is_file()) == ["file0", "file1", "file2"]


def test_delete_while_it_starts(stack):
    for pause in (0, 0.02, 0.05, 0.1, 0.2):
        stack.create("ada")
        time.sleep(pause)
        stack.delete("ada")
        stack.wait_gone("ada")
    assert stack.mounts() == [] and stack.places() == []


def test_many_at_once(stack):
    names = [f"user{n}" for n in range(12)]
    threads = [threading.Thread(target=stack.create, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        stack.wait(name, "Running", 60)
    ids = {stack.status(name)["hostId"] for name in names}
    assert len(ids) == len(names)
    for name in names:
        stack.delete(name)
    for name in names:
        stack.wait_gone(name, 60)


def test_a_few_are_started_at_once_and_the_others_wait_their_turn(stack):
    stack.stop("runner")
    stack.start("runner", {"STARTS_AT_ONCE": "1", "TURN_SECONDS": "600"})
    stack.sandbox("silent", env=[{"name": "BEHAVIOUR", "value": "silent"}])
    stack.create("ada", "silent")
    stack.wait("ada", "Starting")
    stack.create("bob")
    assert stack.wait("bob", "Queued", reason="WaitingForOthers")["message"] == "1 other is started first"
    stack.create("cleo")
    assert stack.wait("cleo", "Queued", reason="WaitingForOthers")["message"] == "2 others are started first"
    stack.delete("bob")  # Who waits may be deleted …
    stack.wait_gone("bob")
    stack.wait("cleo", "Queued", message="1 other is started first")
    stack.delete("ada")  # … and who is at it makes room.
    stack.wait("cleo", "Running")
    assert stack.status("cleo")["timings"]["queued"] > 0.5
    # A start that takes long holds nobody up.
    stack.stop("runner")
    stack.start("runner", {"STARTS_AT_ONCE": "1", "TURN_SECONDS": "2"})
    stack.wait_gone("ada")
    stack.create("dora", "silent")
    stack.wait("dora", "Starting")
    stack.create("emil")
    stack.wait("emil", "Running")
    assert stack.status("dora")["phase"] == "Starting"


def test_a_stubborn_process_is_killed(stack):
    stack.sandbox("stubborn", env=[{"name": "BEHAVIOUR", "value": "stubborn"}])
    stack.create("ada", "stubborn")
    stack.wait("ada", "Running")
    stack.delete("ada")
    stack.wait_gone("ada", 20)


# ---- isolation ----------------------------------------------------------------------------------------------------


def test_hardening(stack):
    stack.create("ada", deviceRam="256", deviceCpu="500")
    status = stack.wait("ada", "Running")
    container = stack.inspect(stack.uid("ada"))
    pid = container["State"]["Pid"]
    process = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    assert int(process["CapEff"], 16) == int(process["CapBnd"], 16) == 0
    assert process["NoNewPrivs"] == "1" and process["Seccomp"] == "2"
    assert process["Uid"].split() == [str(status["hostId"] + 1000)] * 4
    mounts = {line.split()[4]: line for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()}
    assert " ro" in mounts["/"]
    for path in ("/run/open-hydra", "/home/student", "/tmp"):
        assert "nosuid,nodev" in mounts[path], mounts[path]
    assert pathlib.Path(f"/proc/{pid}/net/route").read_text().count("\n") == 1, "a network"
    groups = dict(line.split(":")[1:3] for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    if "memory" in groups:
        limit = pathlib.Path(f"/sys/fs/cgroup/memory{groups['memory']}/memory.limit_in_bytes").read_text()
        assert int(limit) == 256 << 20
        quota = next(v for k, v in groups.items() if "cpu" in k.split(","))
        assert int(pathlib.Path(f"/sys/fs/cgroup/cpu{quota}/cpu.cfs_quota_us").read_text()) == 50000
        assert int(pathlib.Path(f"/sys/fs/cgroup/pids{groups['pids']}/pids.max").read_text()) == 256
    assert container["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
    assert stack.inside("ada", "/write?/anywhere")[0] == 500
    assert stack.inside("ada", "/write?/tmp/here")[0] == 200


def test_home_and_socket_directory(stack):
    stack.create("ada")
    first = stack.wait("ada", "Running")["hostId"]
    home, parent = stack.data / "workspace/plain/ada", stack.data / "workspace/plain"
    assert (home.stat().st_uid, home.stat().st_gid, home.stat().st_mode & 0o777) == (first + 1000, first + 1000, 0o700)
    assert (parent.stat().st_uid, parent.stat().st_mode & 0o777) == (0, 0o700)
    assert (home / ".local/share/jupyter").stat().st_uid == first + 1000
    place = pathlib.Path(stack.socket("ada")).parent
    assert (place.stat().st_uid, place.stat().st_gid, place.stat().st_mode & 0o777) == (first + 1000, 65500, 0o710)
    assert place.parent.stat().st_mode & 0o777 == 0o710
    assert "nosymfollow" in next(line for line in stack.mounts() if str(place) + " " in line)
    assert len(stack.socket("ada")) <= 107


def test_data_sets_and_courses_are_read_only(stack):
    stack.stop("runner")
    for name in ("sets", "courses"):
        (stack.home / name).mkdir()
        (stack.home / name / "file").write_text("x")
    stack.config.write_text(stack.config.read_text() + f"datasetBasePath: {stack.home}/sets\ncourseBasePath: {stack.home}/courses\n")
    stack.start("runner")
    for _ in range(2):
        stack.create("ada")
        stack.wait("ada", "Running")
        mounts = {m["Destination"]: m for m in stack.inspect(stack.uid("ada"))["Mounts"]}
        for target in ("/home/student/dataset-public", "/home/student/course-public"):
            assert mounts[target]["RW"] is stack.docker  # there the source is read-only
            assert stack.inside("ada", f"/write?{target}/file")[0] == 500
        stack.delete("ada")
        stack.wait_gone("ada")
    assert (stack.home / "sets/file").read_text() == "x"


def test_what_is_mounted_below_a_data_set_is_read_only_too(stack):
    """A disk of its own, there before or put there while environments run; both as open to everybody as such disks often are."""
    stack.stop("runner")
    disks = [stack.home / "sets/early", stack.home / "sets/early/deep", stack.home / "sets/late"]
    disks[2].mkdir(parents=True)
    subprocess.run(["mount", "--bind", "--make-shared", stack.home / "sets", stack.home / "sets"], check=True)
    stack.config.write_text(stack.config.read_text() + f"datasetBasePath: {stack.home}/sets\n")
    mounted = []

    def mount(disk):
        disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "x", disk], check=True)
        mounted.append(disk)

    def check(name, *below):
        for folder in ("", *below):
            status, text = stack.inside(name, f"/write?/home/student/dataset-public{folder}/new")
            assert status == 500 and "Read-only" in str(text), (folder, text)
            line = next(line.split() for line in pathlib.Path(f"/proc/{stack.inspect(stack.uid(name))['State']['Pid']}/mountinfo").read_text().splitlines()
                        if line.split()[4] == f"/home/student/dataset-public{folder}")
            assert {"ro", "nosuid", "nodev", "noexec"} <= set(line[5].split(",")), line

    try:
        for disk in disks[:2]:
            mount(disk)
        stack.start("runner")
        stack.create("ada")
        stack.wait("ada", "Running")
        check("ada", "/early", "/early/deep")
        mount(disks[2])
        (disks[2] / "file").write_text("x")
        assert stack.inside("ada", "/write?/home/student/dataset-public/late/file")[0] == 500
        assert (disks[2] / "file").read_text() == "x"
        stack.create("bob")
        stack.wait("bob", "Running")
        check("bob", "/early", "/early/deep", "/late")
        for name in ("ada", "bob"):
            stack.delete(name)
            stack.wait_gone(name)
        assert stack.mounts() == [] and stack.places() == []
    finally:
        for disk in [*reversed(mounted), stack.home / "sets"]:
            subprocess.run(["umount", "-l", disk], check=True)


def spent(pid):
    """Seconds of processor and bytes to a disk."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    io = dict(line.split(": ") for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(io["write_bytes"])


def test_a_flood_of_output_costs_little(stack, engine):
    """Who reads it for the engine is outside of the environment's limits: it has a share of its own, and writes to no disk."""
    stack.create("ada", deviceCpu="1000")
    stack.wait("ada", "Running")
    uid = stack.uid("ada")
    pid = ask(engine, "GET", f"/v4.0.0/libpod/containers/open-hydra-{uid}/json")[1]["State"]["ConmonPid"]
    place = pathlib.Path(stack.socket("ada")).parent
    folder = place.with_name(place.name + ".log")
    group = pathlib.Path(f"/sys/fs/cgroup/cpu/open-hydra/{uid}")
    bounded = group.exists() or "/libpod-conmon-" in pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    assert bounded or os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_IDLE
    begin, before = time.monotonic(), spent(pid)
    assert stack.inside("ada", "/flood?4")[0] == 200
    wait_until(lambda: time.monotonic() > begin + 4, 30, what="the flood")
    processor, disk = (now - then for now, then in zip(spent(pid), before))
    assert disk == 0
    assert not bounded or processor <= 0.1 * (time.monotonic() - begin) + 0.2, processor
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 3 << 20
    status, text = ask(stack.runtime / "logs.sock", "GET", f"/devices/{uid}/log?tailLines=2")
    assert status == 200 and "x" * 4000 in str(text)
    assert stack.inside("ada", "/")[0] == 200
    stack.delete("ada")
    stack.wait_gone("ada")
    assert not group.exists() and not folder.exists()


def test_a_course_in_an_image_without_python_says_so(stack):
    stack.create("ada")
    stack.wait("ada", "Running")
    status, answer = stack.api("POST", "devices/ada/course", {"spec": {"course": "lesson"}})
    assert status == 422 and "no program python3" in answer["message"], answer
    status, answer = stack.api("POST", "devices/nobody/course", {"spec": {"course": "lesson"}})
    assert status == 404, answer
    assert stack.status("ada")["phase"] == "Running" and stack.inside("ada", "/")[0] == 200
    stack.delete("ada")
    stack.wait_gone("ada")


# ---- the network --------------------------------------------------------------------------------------------------


def listener(*where):
    """Listens on 8080 of all addresses there are in another network namespace."""
    code = "import socket, time; s = socket.create_server(('', 8080)); print(flush=True); time.sleep(600)"
    process = subprocess.Popen([*where, "python3", "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def from_here(address, port=8080):
    """There is somebody who answers, and this machine reaches them."""
    with socket.create_connection((address, port), 5):
        return True


class Outside:
    """A network namespace behind this machine that stands for the internet and for what is private there; nothing leaves the machine."""
    INTERNET, PRIVATE, CARRIER = "198.51.100.2", "10.211.7.2", "100.64.99.2"
    HOST = {"198.51.100.1", "10.211.7.1", "100.64.99.1"}
    ELSEWHERE = ("169.254.77.7", "172.16.77.7", "172.31.255.77", "192.168.177.7", "100.127.77.7", "192.0.0.77", "198.19.77.7")

    def __init__(self):
        self.remove_left_behind()
        self.name = f"oh{os.getpid()}"
        self.ip("netns", "add", self.name)
        self.ip("link", "add", self.name, "type", "veth", "peer", "name", "outside", "netns", self.name)
        for here, there in (("198.51.100.1", self.INTERNET), ("10.211.7.1", self.PRIVATE), ("100.64.99.1", self.CARRIER)):
            self.ip("addr", "add", f"{here}/24", "dev", self.name)
            self.ip("-n", self.name, "addr", "add", f"{there}/24", "dev", "outside")
        self.ip("link", "set", self.name, "up")
        self.ip("-n", self.name, "link", "set", "outside", "up")
        for address in self.ELSEWHERE:
            self.ip("-n", self.name, "addr", "add", f"{address}/32", "dev", "outside")
            self.ip("route", "add", f"{address}/32", "via", self.INTERNET)
        self.ip("-n", self.name, "route", "add", "default", "via", "198.51.100.1")
        self.inside = listener("ip", "netns", "exec", self.name)

    @staticmethod
    def remove_left_behind():
        """What a run left that was killed: its routes would lead there."""
        for one in pathlib.Path("/run/netns").glob("oh[0-9]*"):
            if int(one.name[2:]) == os.getpid() or not pathlib.Path(f"/proc/{one.name[2:]}").exists():
                subprocess.run(["ip", "link", "del", one.name], check=False)
                subprocess.run(["ip", "netns", "del", one.name], check=False)

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    def close(self):
        self.inside.kill()
        self.inside.wait()
        subprocess.run(["ip", "link", "del", self.name], check=False)
        self.ip("netns", "del", self.name)


@pytest.fixture
def outside():
    one = Outside()
    yield one
    one.close()


def reaches(stack, name, address, port=8080):
    """True, or how it failed. What is refused by a rule of its own never waits."""
    status, text = stack.inside(name, f"/connect?{address},{port}")
    assert status in (200, 500), text
    return True if status == 200 else str(text).strip()


def online(stack, name, sandbox="online", **spec):
    stack.sandbox(sandbox, network=True, **spec)
    stack.create(name, sandbox)
    stack.wait(name, "Running", 60)


def own_address(stack, name):
    pid = stack.inspect(stack.uid(name))["State"]["Pid"]
    table = subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "-j", "-4", "addr", "show", "eth0"], capture_output=True, text=True, check=True).stdout
    return json.loads(table)[0]["addr_info"][0]["local"]


def drop_rules(stack, name):
    """As root of the host; nobody inside can."""
    pid = stack.inspect(stack.uid(name))["State"]["Pid"]
    subprocess.run(["nsenter", "-t", str(pid), "-n", "sh", "-c", "nft flush ruleset 2>/dev/null || iptables -F OUTPUT"], check=True)


def check_name_servers(stack, name):
    """Those of the container are let through, on their port alone."""
    container = stack.inspect(stack.uid(name))
    servers = re.findall(r"^nameserver (\d+\.\d+\.\d+\.\d+)$", pathlib.Path(container["ResolvConfPath"]).read_text(), re.M)
    rules = subprocess.run(["nsenter", "-t", str(container["State"]["Pid"]), "-n", "sh", "-c", "nft list ruleset 2>/dev/null || iptables -S OUTPUT"],
                           capture_output=True, text=True, check=True).stdout
    for server in servers:
        assert f"-d {server}/32 -p udp -m udp --dport 53 -j ACCEPT" in rules or f"ip daddr {server} meta l4proto {{ tcp, udp }} th dport 53 accept" in rules, rules


BY_RULE = ("Connection refused", "No route to host", "Permission denied", "Operation not permitted", "Network is unreachable")


def test_a_network_reaches_the_internet_alone(stack, outside):
    """Neither the host by any of its addresses, nor another environment, nor private, link-local and multicast addresses."""
    with socket.create_server(("0.0.0.0", 0)) as host, socket.create_server(("::", 0), family=socket.AF_INET6) as host6:
        port, port6 = host.getsockname()[1], host6.getsockname()[1]
        online(stack, "ada")
        stack.create("bob", "online")
        stack.wait("bob", "Running", 60)
        assert reaches(stack, "ada", outside.INTERNET) is True
        check_name_servers(stack, "ada")
        own = {line.split()[3].partition("/")[0] for line in subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True).stdout.splitlines()}
        assert own >= outside.HOST
        for address in own - {"127.0.0.1"}:
            assert from_here(address, port) and reaches(stack, "ada", address, port) in BY_RULE, address
        drop_rules(stack, "bob")  # he may answer: it is ada's rules that count
        bob = listener("nsenter", "-t", str(stack.inspect(stack.uid("bob"))["State"]["Pid"]), "-n")
        try:
            for address in (own_address(stack, "bob"), outside.PRIVATE, outside.CARRIER, *outside.ELSEWHERE):
                assert from_here(address) and reaches(stack, "ada", address) in BY_RULE, address
        finally:
            bob.kill()
            bob.wait()
        for address in ("224.0.0.1", "255.255.255.255", "240.0.0.1", "0.0.0.1"):
            assert reaches(stack, "ada", address) in BY_RULE, address
        bridge = re.findall(r"inet6 (fe80\S+)/", subprocess.run(["ip", "-6", "addr", "show", "podman0"], capture_output=True, text=True).stdout)
        for address in (*bridge, "fd00::1", "2001:db8::1", "::ffff:10.88.0.1"):
            assert reaches(stack, "ada", address, port6) in (*BY_RULE, "Invalid argument", "Cannot assign requested address", "Operation now in progress"), address
        assert reaches(stack, "ada", "127.0.0.1", port) == "Connection refused"


def test_a_sandbox_may_list_private_networks(stack, outside):
    """Those alone, and never this machine in them; a runner that comes later makes the same rules."""
    online(stack, "ada", networkAllow=["10.211.7.0/24"])
    with socket.create_server(("0.0.0.0", 0)) as host:
        for _ in range(2):
            assert reaches(stack, "ada", outside.PRIVATE) is True and reaches(stack, "ada", outside.INTERNET) is True
            assert reaches(stack, "ada", outside.CARRIER) in BY_RULE
            assert reaches(stack, "ada", "10.211.7.1", host.getsockname()[1]) in BY_RULE
            stack.kill("runner")
            drop_rules(stack, "ada")
            assert reaches(stack, "ada", outside.CARRIER) is True
            stack.start("runner")
            wait_until(lambda: reaches(stack, "ada", outside.CARRIER) in BY_RULE, 30, what="rules")
    for wrong in ("10.0.0.0", "10.0.0.0/33", "10.0.0.256/8", "fd00::/8", "10.0.0.0/8 ", "010.0.0.0/8", ""):
        status, answer = stack.api("POST", "sandboxes", {"metadata": {"name": "wrong"}, "spec": {"cpuImageName": IMAGE, "networkAllow": [wrong]}})
        assert status == 422, (wrong, answer)


def test_one_that_somebody_else_starts_again_has_its_rules(stack, outside, engine):
    """It is in another namespace then, that has none."""
    online(stack, "ada")
    old = stack.inspect(stack.uid("ada"))["State"]["Pid"]
    # Where the runner is quicker, it has taken the container away before the engine starts it again.
    status, answer = ask(engine, "POST", f"/v1.41/containers/open-hydra-{stack.uid('ada')}/restart?t=0")
    assert status in (204, 404, 409, 500), answer

    def again():
        container = stack.inspect(stack.uid("ada"))
        try:
            return container and container["State"]["Pid"] not in (0, old) and reaches(stack, "ada", outside.PRIVATE) in BY_RULE
        except OSError:
            return False

    wait_until(again, 60, what="rules")
    assert reaches(stack, "ada", outside.INTERNET) is True


def test_an_address_that_this_machine_gets_later(stack, outside):
    """At the runner's next look."""
    stack.stop("runner")
    stack.start("runner", {"CHECK_SECONDS": "1"})
    online(stack, "ada")
    with socket.create_server(("0.0.0.0", 0)) as host:
        Outside.ip("addr", "add", "198.51.100.77/24", "dev", outside.name)
        port = host.getsockname()[1]
        wait_until(lambda: reaches(stack, "ada", "198.51.100.77", port) in BY_RULE, 30, what="rules")
        assert reaches(stack, "ada", outside.INTERNET) is True


def test_what_the_engine_cannot_start_is_tried_ever_less_often(stack):
    """Each try changes the status, whose own event is no reason for the next."""
    stack.sandbox("broken", command=["/nowhere"])
    stack.create("ada", "broken")
    wait_until(lambda: stack.status("ada").get("reason") == "EngineError", 60)
    first = int(stack.device("ada")["metadata"]["resourceVersion"])
    time.sleep(3)
    device = stack.device("ada")
    assert int(device["metadata"]["resourceVersion"]) - first < 30
    assert "/nowhere" in device["status"]["message"] and device["status"]["message"].endswith("trying again")


def test_a_planted_link_is_not_followed(stack):
    for name in ("ada", "bob"):
        stack.create(name)
        stack.wait(name, "Running")
    victim, planted = stack.socket("bob"), stack.socket("ada")
    os.unlink(planted)
    os.symlink(victim, planted)
    with socket.socket(socket.AF_UNIX) as s, pytest.raises(OSError) as e:
        s.connect(planted)
    assert e.value.errno == errno.ELOOP


def test_a_home_that_is_a_link_is_refused(stack):
    parent = stack.data / "workspace/plain"
    parent.mkdir(parents=True, mode=0o700)
    (parent / "ada").symlink_to("/etc")
    stack.create("ada")
    stack.wait("ada", "Failed", reason="HomeRefused")
    assert stack.mounts() == []


def test_links_in_a_home_lead_nowhere(stack, tmp_path):
    stack.create("ada")
    stack.wait("ada", "Running")
    stack.delete("ada")
    stack.wait_gone("ada")
    home = stack.data / "workspace/plain/ada"
    subprocess.run(["rm", "-r", home / ".local"], check=True)
    (home / ".local").symlink_to(tmp_path)
    stack.create("ada")
    stack.wait("ada", "Running")
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_that_listens_nowhere_is_refused(stack):
    stack.sandbox("nowhere", socket=None)
    stack.create("ada", "nowhere")
    assert "spec.ports" in stack.wait("ada", "Failed", reason="SandboxUnsupported")["message"]


# ---- what fails ---------------------------------------------------------------------------------------------------


def test_an_image_that_comes_later(stack, engine):
    name = "localhost/open-hydra/late:latest"
    ask(engine, "DELETE", f"/v1.41/images/{name}?force=true")
    stack.sandbox("late", cpuImageName=name)
    stack.create("ada", "late")
    status = stack.wait("ada", "Failed", reason="ImageMissing")
    assert name in status["message"]
    status, text = ask(engine, "POST", "/v1.41/images/load?quiet=1", archive(BUILD / "tests/runner/environment", name)[1], "application/x-tar")
    assert status == 200, text
    wait_until(lambda: stack.status("ada").get("phase") == "Running", 60, what="healed")
    stack.delete("ada")
    stack.wait_gone("ada")
    ask(engine, "DELETE", f"/v1.41/images/{name}")


def test_a_sandbox_that_is_replaced_is_taken_up(stack):
    stack.sandbox("wrong", cpuImageName="localhost/open-hydra/none-such:latest")
    stack.create("ada", "wrong")
    stack.wait("ada", "Failed", reason="ImageMissing")
    status, answer = stack.api("PATCH", "sandboxes/wrong", {"spec": {"cpuImageName": IMAGE}}, "application/merge-patch+json")
    assert status == 200, answer
    wait_until(lambda: stack.status("ada").get("phase") == "Running", 30, what="taken up")


def test_what_ends_by_itself_fails_with_its_last_words(stack):
    stack.sandbox("exit", env=[{"name": "BEHAVIOUR", "value": "exit"}])
    stack.create("ada", "exit")
    status = stack.wait("ada", "Failed", 60, reason="Ended")
    assert "exit code 7" in status["message"] and status["restarts"] == 3
    assert "cannot go on" in status["log"]
    said = next(line for line in status["log"] if line.startswith("its token is"))
    assert set(said.split()[3]) == {"*"}, "a token in the status"
    assert stack.device("ada")["spec"]["deviceStatus"] == "Failed"
    assert stack.mounts() == [] and stack.inspect(stack.uid("ada")) is None
    stack.delete("ada")
    stack.wait_gone("ada")


def test_out_of_memory_says_so(stack):
    stack.create("ada", deviceRam="64")
    stack.wait("ada", "Running")
    for n in range(4):
        try:
            stack.inside("ada", "/oom")
        except OSError:
            pass
        if n < 3:
            stack.wait("ada", "Running", restarts=n + 1)
    status = stack.wait("ada", "Failed")
    assert status["reason"] == "OutOfMemory", status


def test_killed_from_outside_comes_back(stack, engine):
    stack.create("ada")
    stack.wait("ada", "Running")
    uid = stack.uid("ada")
    before = stack.inspect(uid)["Id"]
    ask(engine, "POST", f"/v1.41/containers/open-hydra-{uid}/kill?signal=KILL")
    stack.wait("ada", "Running", restarts=1)
    assert stack.inspect(uid)["Id"] != before
    assert stack.inside("ada", "/")[0] == 200
    ask(engine, "DELETE", f"/v1.41/containers/open-hydra-{uid}?force=true")
    stack.wait("ada", "Running", restarts=2)
    assert stack.inside("ada", "/")[0] == 200


QUICK = {"ASK_SECONDS": "1", "ASK_ANSWER_MS": "1000", "ASK_AGAIN_MS": "200"}


@pytest.fixture
def watched(stack):
    """One environment, asked every second."""
    stack.stop("runner")
    stack.start("runner", QUICK)
    stack.create("ada")
    stack.wait("ada", "Running")
    return stack


def processes(stack, name):
    """The first process, and the one that watches over it."""
    state = ask(stack.engine, "GET", f"/v4.0.0/libpod/containers/open-hydra-{stack.uid(name)}/json")[1]["State"]
    return state["Pid"], state["ConmonPid"]


def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def ready(stack, name):
    return stack.condition(name, "Ready")


@pytest.mark.parametrize("away", [False, True], ids=["runner there", "runner away"])
def test_conmon_and_process_killed(watched, away):
    """The engine goes on to believe that it runs."""
    pid, conmon = processes(watched, "ada")
    if away:
        watched.stop("runner")
    kill(conmon, pid)
    assert watched.inspect(watched.uid("ada"))["State"]["Running"]
    if away:
        watched.start("runner", QUICK)
    watched.wait("ada", "Running", restarts=1)
    assert watched.inside("ada", "/")[0] == 200
    assert ready(watched, "ada")["status"] == "True" and watched.condition("ada", "Supervised")["status"] == "True"
    assert processes(watched, "ada")[0] != pid


def test_conmon_killed_alone_is_said_and_the_end_is_noticed(stack):
    stack.stop("runner")
    stack.start("runner", {**QUICK, "CHECK_SECONDS": "1"})
    stack.create("ada")
    stack.wait("ada", "Running")
    pid, conmon = processes(stack, "ada")
    kill(conmon)
    wait_until(lambda: stack.condition("ada", "Supervised")["status"] == "False", 30, what="said")
    assert stack.condition("ada", "Supervised")["reason"] == "SupervisorGone"
    assert stack.status("ada")["phase"] == "Running" and stack.inside("ada", "/")[0] == 200
    kill(pid)
    stack.wait("ada", "Running", restarts=1)
    wait_until(lambda: stack.condition("ada", "Supervised")["status"] == "True", 20, what="taken back")
    assert stack.inside("ada", "/")[0] == 200


def test_a_stopped_process_is_said_and_passes(watched):
    pid = processes(watched, "ada")[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: ready(watched, "ada")["status"] == "False", 30, what="said")
    assert ready(watched, "ada")["reason"] == "NotAnswering"
    status = watched.status("ada")
    assert status["phase"] == "Running" and status["reason"] == "NotAnswering" and "no answer" in status["message"]
    # Said by a runner that comes anew, too.
    watched.kill("runner")
    watched.start("runner", QUICK)
    time.sleep(1)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: ready(watched, "ada")["status"] == "True", 30, what="passed")
    assert watched.status("ada").get("restarts", 0) == 0 and processes(watched, "ada")[0] == pid
    assert watched.status("ada")["reason"] == "Running"


def test_what_hangs_for_long_is_started_again(stack):
    stack.stop("runner")
    stack.start("runner", {**QUICK, "SILENT_SECONDS": "4", "CHECK_SECONDS": "1"})
    stack.create("ada")
    stack.wait("ada", "Running")
    os.kill(processes(stack, "ada")[0], signal.SIGSTOP)
    stack.wait("ada", "Running", 60, restarts=1)
    assert stack.inside("ada", "/")[0] == 200


def test_what_is_paused_at_the_engine_is_left_alone(stack, engine):
    stack.stop("runner")
    stack.start("runner", {**QUICK, "SILENT_SECONDS": "2", "CHECK_SECONDS": "1"})
    stack.create("ada")
    stack.wait("ada", "Running")
    name = f"open-hydra-{stack.uid('ada')}"
    status, text = ask(engine, "POST", f"/v1.41/containers/{name}/pause")
    if status != 204:
        pytest.skip(f"no container can be paused here: {text}")
    wait_until(lambda: ready(stack, "ada")["reason"] == "Paused", 20, what="said")
    time.sleep(6)
    assert stack.status("ada").get("restarts", 0) == 0
    assert ask(engine, "POST", f"/v1.41/containers/{name}/unpause")[0] == 204
    wait_until(lambda: ready(stack, "ada")["status"] == "True", 20, what="passed")
    assert stack.status("ada").get("restarts", 0) == 0


def test_what_listens_no_more_is_started_again(watched):
    pid = processes(watched, "ada")[0]
    watched.inside("ada", "/close")
    watched.wait("ada", "Running", restarts=1)
    assert watched.inside("ada", "/")[0] == 200 and processes(watched, "ada")[0] != pid


def test_errors_are_said_and_long_requests_do_no_harm(watched):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(watched.socket("ada"))
        s.sendall(b"GET /slow?6 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"slow" in s.recv(4096)
    assert ready(watched, "ada")["status"] == "True"
    watched.inside("ada", "/fail?1")
    wait_until(lambda: ready(watched, "ada")["reason"] == "AnswersWithErrors", 20, what="said")
    watched.inside("ada", "/fail?0")
    wait_until(lambda: ready(watched, "ada")["status"] == "True", 20, what="passed")
    assert watched.status("ada").get("restarts", 0) == 0


def test_a_lost_socket_directory_comes_back(stack):
    stack.create("ada")
    stack.wait("ada", "Running")
    stack.kill("runner")  # first: it might notice at once, and be killed before it has counted
    subprocess.run(["umount", os.path.dirname(stack.socket("ada"))], check=True)
    stack.start("runner")
    stack.wait("ada", "Running", restarts=1)
    assert stack.inside("ada", "/")[0] == 200


def test_what_never_answers_times_out(stack):
    stack.stop("runner")
    stack.start("runner", {"STARTING_SECONDS": "2"})
    stack.sandbox("silent", env=[{"name": "BEHAVIOUR", "value": "silent"}])
    stack.create("ada", "silent")
    status = stack.wait("ada", "Failed", reason="StartTimeout")
    assert "environment of ada" in status["log"]
    assert stack.mounts() == [] and stack.inspect(stack.uid("ada")) is None
    stack.sandbox("busy", env=[{"name": "UNREADY", "value": "1"}])
    stack.create("bob", "busy")
    stack.wait("bob", "Failed", reason="StartTimeout")
    # Failed is for good, over a restart of the runner too, until it is deleted.
    stack.stop("runner")
    stack.start("runner")
    time.sleep(1)
    assert stack.status("ada")["phase"] == "Failed" and stack.inspect(stack.uid("ada")) is None
    stack.delete("ada")
    stack.wait_gone("ada")


def test_what_an_earlier_runner_started_has_a_deadline_too(stack):
    stack.sandbox("silent", env=[{"name": "BEHAVIOUR", "value": "silent"}])
    stack.create("ada", "silent")
    wait_until(lambda: (stack.inspect(stack.uid("ada")) or {"State": {"Status": ""}})["State"]["Status"] == "running", what="started")
    stack.kill("runner")
    stack.start("runner", {"STARTING_SECONDS": "2"})
    stack.wait("ada", "Failed", reason="StartTimeout")


def test_a_full_disk_says_so_and_heals(stack):
    """Homes on a small file system of their own that is full."""
    stack.stop("runner")
    workspace = stack.home / "small"
    workspace.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2,mode=0700", "tmpfs", workspace], check=True)
    try:
        (workspace / "x").mkdir()
        stack.config.write_text(stack.config.read_text() + f"workspacePath: {workspace}\n")
        stack.start("runner")
        stack.create("ada")
        wait_until(lambda: stack.status("ada").get("reason") == "DiskFull", 20, what="said")
        subprocess.run(["mount", "-o", "remount,size=4m,nr_inodes=1000", workspace], check=True)
        stack.wait("ada", "Running")
        stack.delete("ada")
        stack.wait_gone("ada")
    finally:
        stack.stop("runner")
        subprocess.run(["umount", workspace], check=True)


def test_nothing_starts_below_a_minimum(stack):
    """What runs goes on, what is asked for waits, and starts by itself when there is room."""
    stack.stop("runner")
    workspace = stack.home / "small"
    workspace.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "tmpfs", workspace], check=True)
    try:
        stack.config.write_text(stack.config.read_text() + f"workspacePath: {workspace}\n")
        stack.start("runner")
        stack.create("ada")
        stack.wait("ada", "Running")
        (workspace / "ballast").write_bytes(b"x" * (39 << 20))
        stack.create("bob")
        wait_until(lambda: stack.status("bob").get("reason") == "DiskFull", 20, what="said")
        status = stack.status("bob")
        assert status["phase"] == "Queued"
        assert f"the disk of {workspace} is full: " in status["message"] and "2.0 MiB wanted" in status["message"]
        assert stack.inspect(stack.uid("bob")) is None and stack.status("ada")["phase"] == "Running"
        (workspace / "ballast").unlink()
        stack.wait("bob", "Running")
        for name in ("ada", "bob"):
            stack.delete(name)
            stack.wait_gone(name)
    finally:
        stack.stop("runner")
        subprocess.run(["umount", workspace], check=True)


# ---- restarts -----------------------------------------------------------------------------------------------------


def test_a_stop_of_the_runner_leaves_environments(stack):
    stack.create("ada")
    stack.wait("ada", "Running")
    before = stack.inspect(stack.uid("ada"))["Id"]
    stack.stop("runner")
    assert stack.inside("ada", "/")[0] == 200
    stack.start("runner")
    time.sleep(1)
    assert stack.inspect(stack.uid("ada"))["Id"] == before
    assert stack.status("ada")["phase"] == "Running"


def test_a_killed_runner_adopts(stack):
    stack.create("ada")
    started = stack.wait("ada", "Running")["startedAt"]
    who, before = stack.inside("ada", "/who")[1], stack.inspect(stack.uid("ada"))["Id"]
    for _ in range(3):
        stack.kill("runner")
        stack.start("runner")
    wait_until(lambda: "adopted" in stack.log("runner"), what="adopted")
    assert stack.inspect(stack.uid("ada"))["Id"] == before
    assert stack.inside("ada", "/who")[1] == who
    assert stack.status("ada")["startedAt"] == started
    stack.delete("ada")
    stack.wait_gone("ada")


def test_what_a_build_before_started_is_adopted(stack, engine):
    """Its containers say the device's uid alone, and go by it."""
    stack.create("ada")
    stack.wait("ada", "Running")
    stack.stop("runner")
    uid, socket = stack.uid("ada"), pathlib.Path(stack.socket("ada"))
    ours = stack.inspect(uid)
    labels = ours["Config"]["Labels"]
    assert labels.pop("io.openhydra.instance") and labels["io.openhydra.device-uid"] == uid
    ids = {"HostUIDMapping": False, "HostGIDMapping": False, **{key: [{"container_id": 0, "host_id": stack.status("ada")["hostId"], "size": 65536}] for key in ("UIDMap", "GIDMap")}}
    assert ask(engine, "DELETE", f"/v1.41/containers/open-hydra-{uid}?force=true")[0] in (200, 204)
    socket.unlink()
    status, answer = ask(engine, "POST", "/v4.0.0/libpod/containers/create", {
        "name": f"open-hydra-{uid}", "image": IMAGE, "user": "1000:1000", "labels": labels, "env": dict(v.split("=", 1) for v in ours["Config"]["Env"]),
        "userns": {"nsmode": "private"}, "idmappings": ids, "netns": {"nsmode": "none"},
        "mounts": [{"type": "bind", "source": m["Source"], "destination": m["Destination"], "options": ["rbind", "rw"]} for m in ours["Mounts"]]})
    assert status == 201, answer
    assert ask(engine, "POST", f"/v1.41/containers/open-hydra-{uid}/start")[0] == 204
    wait_until(socket.exists, what="its socket")
    before = stack.inspect(uid)["Id"]
    stack.start("runner")
    wait_until(lambda: "adopted" in stack.log("runner"), what="adopted")
    wait_until(lambda: stack.route("ada")[0] == str(socket), what="the server was told where it is")
    assert stack.inspect(uid)["Id"] == before and "uid 1000" in stack.inside("ada", "/who")[1]
    assert ask(stack.runtime / "logs.sock", "GET", f"/devices/{uid}/usage")[0] == 200
    stack.delete("ada")
    stack.wait_gone("ada")
    assert stack.inspect(uid) is None


def test_kill_at_any_moment(stack):
    """Devices come and go; the runner is killed again and again; in the end everything is as the devices say."""
    dice = random.Random(7)
    names = [f"user{n}" for n in range(4)]
    for _ in range(12):
        for name in names:
            device = stack.device(name)
            if device is None:
                stack.create(name)
            elif "deletionTimestamp" not in device["metadata"] and dice.random() < 0.5:
                stack.delete(name)
        time.sleep(dice.random() * 0.5)
        stack.kill("runner")
        stack.start("runner")
    for name in names:
        wait_until(lambda: (stack.device(name) or {"metadata": {"deletionTimestamp": None}, "status": {}})["status"].get("phase") in
                   (None, "Running"), 60, what=name)
    running = {d["metadata"]["uid"] for d in stack.api("GET", "devices")[1]["items"]}
    wait_until(lambda: len(stack.places()) == 3 * len(running), 90, what="no orphans: %s" % stack.places())
    for name in names:
        if stack.device(name):
            stack.delete(name)
            stack.wait_gone(name)
    wait_until(lambda: stack.places() == [], 90, what="nothing left")


def test_a_killed_server(stack):
    stack.create("ada")
    stack.wait("ada", "Running")
    before = stack.inspect(stack.uid("ada"))["Id"]
    socket_path = stack.socket("ada")
    stack.kill("server")
    assert ask(socket_path, "GET", "/")[0] == 200
    time.sleep(0.5)
    stack.start("server")
    stack.create("bob")
    stack.wait("bob", "Running")
    assert stack.inspect(stack.uid("ada"))["Id"] == before
    stack.delete("ada")
    stack.wait_gone("ada")


def test_the_server_is_told_where_it_is_again_and_again(stack, engine):
    stack.create("ada")
    stack.wait("ada", "Running")

    def told():
        route = stack.route("ada")
        token = stack.inside("ada", "/who")[1].split("token ")[1].split()[0]
        return route == (stack.socket("ada"), f"token {token}")

    assert told()
    stack.stop("server")
    stack.start("server")
    wait_until(told, 30, what="told after an orderly restart")
    stack.kill("server")
    stack.start("server")
    wait_until(told, 30, what="told after a kill")
    stack.kill("runner")
    stack.kill("server")
    stack.start("server")
    stack.start("runner")
    wait_until(told, 30, what="told by a new runner")
    ask(engine, "POST", f"/v1.41/containers/open-hydra-{stack.uid('ada')}/kill?signal=KILL")
    stack.wait("ada", "Running", restarts=1)
    wait_until(told, 30, what="a new container has a new token")
    stack.delete("ada")
    stack.wait_gone("ada")


def test_a_finalizer_taken_off_by_force(stack):
    stack.create("ada")
    stack.wait("ada", "Running")
    uid = stack.uid("ada")
    stack.kill("runner")
    stack.delete("ada")
    status, answer = stack.api("PATCH", "devices/ada", {"metadata": {"finalizers": []}}, "application/merge-patch+json")
    assert status == 200 and stack.device("ada") is None, answer
    stack.start("runner")
    wait_until(lambda: stack.inspect(uid) is None and stack.places() == [], 30, what="orphan removed")


MINE = "example.org/keep"


def merge(stack, path, change):
    status, answer = stack.api("PATCH", path, change, "application/merge-patch+json")
    assert status == 200, answer
    return answer


def assert_stopped(stack, name, uid):
    """Held by a finalizer of somebody else's: nothing of it is left but the object, which says so."""
    stack.wait(name, "Stopped", reason="HeldByFinalizers")
    wait_until(lambda: stack.device(name)["metadata"]["finalizers"] == [MINE], what="ours taken off")
    device = stack.device(name)
    assert MINE in device["status"]["message"] and device["status"]["urls"] == []
    assert device["spec"]["deviceStatus"] == "Terminating" and device["spec"]["sandboxURLs"] == ""
    assert stack.condition(name, "Ready")["status"] == "False"
    assert "Running" not in str(device)
    assert stack.inspect(uid) is None and stack.containers() == []


@pytest.mark.parametrize("who", ["devices", "openhydrausers"])
def test_what_others_hold_is_stopped(stack, who):
    """However its deletion is asked for, and whether the runner is there: one container, which goes; then the object waits, and never starts again."""
    stack.create("ada")
    stack.wait("ada", "Running")
    uid = stack.uid("ada")
    merge(stack, "devices/ada", {"metadata": {"finalizers": [*stack.device("ada")["metadata"]["finalizers"], MINE]}})
    stack.kill("runner")
    assert stack.api("DELETE", f"{who}/ada")[0] == 200
    going = stack.device("ada")
    assert going["status"]["phase"] == "Stopping" and going["status"]["urls"] == [] and "Running" not in str(going)
    assert stack.condition("ada", "Ready")["status"] == "False"
    stack.start("runner")
    assert_stopped(stack, "ada", uid)
    # A runner that comes to it anew starts nothing, and says the same.
    stack.kill("runner")
    stack.start("runner")
    stack.create("bob")
    stack.wait("bob", "Running")
    stack.delete("bob")
    stack.wait_gone("bob")
    assert_stopped(stack, "ada", uid)
    merge(stack, "devices/ada", {"metadata": {"finalizers": []}})
    stack.wait_gone("ada")
    assert (stack.api("GET", "openhydrausers/ada")[0] == 404) == (who == "openhydrausers")


def test_what_had_ended_before_its_deletion_is_stopped(stack):
    """The container was gone, or never there, when the deletion was asked for."""
    stack.sandbox("nowhere", cpuImageName="localhost/open-hydra/nowhere:none")
    stack.create("ada", sandbox="nowhere")
    stack.wait("ada", "Failed")
    uid = stack.uid("ada")
    merge(stack, "devices/ada", {"metadata": {"finalizers": [*stack.device("ada")["metadata"]["finalizers"], MINE]}})
    stack.delete("ada")
    assert_stopped(stack, "ada", uid)
    merge(stack, "devices/ada", {"metadata": {"finalizers": []}})
    stack.wait_gone("ada")


def test_a_finalizer_taken_off_under_the_runner(stack):
    stack.create("ada")
    stack.wait("ada", "Running")
    uid = stack.uid("ada")
    os.kill(stack.processes["runner"].pid, signal.SIGSTOP)
    stack.delete("ada")
    status, answer = stack.api("PATCH", "devices/ada", {"metadata": {"finalizers": []}}, "application/merge-patch+json")
    os.kill(stack.processes["runner"].pid, signal.SIGCONT)
    assert status == 200 and stack.device("ada") is None, answer
    wait_until(lambda: stack.inspect(uid) is None and stack.places() == [], 30, what="removed")


def test_an_older_store_is_put_back(stack):
    """Nobody deleted what it does not know: it goes on, over a restart of the runner too, until `down` or a new one of its owner's."""
    for name in ("ada", "bob"):
        stack.user(name)
    stack.stop("server")
    shutil.copytree(stack.data / "server", stack.home / "copy")
    stack.start("server")
    for n in range(20):  # What the services write of themselves at a start brings the older store on, though not so far.
        stack.user(f"between{n}")
    for name in ("ada", "bob"):
        stack.create(name)
        stack.wait(name, "Running")
    uids = {name: stack.uid(name) for name in ("ada", "bob")}
    sockets = [stack.socket(name) for name in uids]
    stack.stop("server")
    shutil.rmtree(stack.data / "server")
    shutil.copytree(stack.home / "copy", stack.data / "server")
    stack.start("server")
    wait_until(lambda: stack.log("runner").count("lost its device: left alone") == 2, 30, what="said")
    assert stack.device("ada") is None and all(stack.inspect(uid)["State"]["Running"] for uid in uids.values())
    stack.kill("runner")
    stack.start("runner", {"CHECK_SECONDS": "1"})
    wait_until(lambda: stack.log("runner").count("an older one was put back") == 2, 30, what="said by a new runner")
    for n in range(100):  # The store comes to where it was, and further.
        stack.user(f"user{n}")
    time.sleep(3)
    assert all(ask(path, "GET", "/")[0] == 200 for path in sockets)
    stack.create("cleo")
    stack.wait("cleo", "Running")
    assert stack.inspect(uids["ada"])["State"]["Running"]
    stack.stop("runner")
    assert stack.down().returncode == 0
    assert all(stack.inspect(uid) is None for uid in uids.values()) and stack.places() == []


def test_an_older_store_and_a_new_device_of_the_name(stack):
    stack.user("ada")
    stack.stop("server")
    shutil.copytree(stack.data / "server", stack.home / "copy")
    stack.start("server")
    stack.create("ada")
    stack.wait("ada", "Running")
    old = stack.uid("ada")
    stack.stop("server")
    shutil.rmtree(stack.data / "server")
    shutil.copytree(stack.home / "copy", stack.data / "server")
    stack.start("server")
    wait_until(lambda: "left alone" in stack.log("runner"), 30, what="said")
    stack.create("ada")
    stack.wait("ada", "Running")
    assert stack.uid("ada") != old and stack.inspect(old) is None
    assert stack.inside("ada", "/")[0] == 200


def test_down_removes_all(stack):
    for name in ("ada", "bob"):
        stack.create(name)
        stack.wait(name, "Running")
    uids = [stack.uid(name) for name in ("ada", "bob")]
    stack.stop("runner")
    out = stack.down()
    assert out.returncode == 0, out.stderr
    assert out.stdout.splitlines() == [f"{name} of {name}: removed" for name in ("ada", "bob")] or \
        out.stdout.splitlines() == [f"{name} of {name}: removed" for name in ("bob", "ada")]
    assert all(stack.inspect(uid) is None for uid in uids)
    assert stack.mounts() == [] and stack.places() == []
    stack.start("runner")
    for name in ("ada", "bob"):
        wait_until(lambda: stack.inspect(stack.uid(name)) is not None, what="started again")
        stack.wait(name, "Running")
    wait_until(lambda: stack.log("runner").count("ada: running") == 2, what="running again")


# ---- logs ---------------------------------------------------------------------------------------------------------


def test_log_and_usage(stack):
    stack.create("ada")
    stack.wait("ada", "Running")
    uid, logs = stack.uid("ada"), stack.runtime / "logs.sock"
    for n in range(5):
        stack.inside("ada", f"/say?line{n}")
    status, text = wait_until(lambda: (lambda a: a if "line4" in a[1] else None)(ask(logs, "GET", f"/devices/{uid}/log")), what="log")
    assert status == 200 and "environment of ada\n" in text and text.count("line") == 5
    assert ask(logs, "GET", f"/devices/{uid}/log?tailLines=2")[1] == "line3\nline4\n"
    assert ask(logs, "GET", f"/devices/{uid}/log?tailLines=x")[0] == 400
    assert ask(logs, "GET", "/devices/0000/log")[0] == 404
    assert ask(logs, "GET", "/devices/..%2f/log")[0] == 404
    usage = ask(logs, "GET", f"/devices/{uid}/usage")[1]
    assert usage["pids"] >= 1 and usage["memoryBytes"] > 0
    assert "line4" in stack.api("GET", "devices/ada/log")[1]


def test_a_log_is_followed(stack):
    stack.create("ada")
    stack.wait("ada", "Running")
    uid = stack.uid("ada")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(stack.runtime / "logs.sock"))
        s.sendall(f"GET /devices/{uid}/log?follow=true HTTP/1.1\r\nHost: runner\r\n\r\n".encode())
        text = b""
        while b"its token" not in text:
            text += s.recv(4096)
        stack.inside("ada", "/say?something-new")
        while b"something-new" not in text:
            text += s.recv(4096)
    # The one who listened has gone; the runner stops all the same (by the fixture).


# ---- the engine ---------------------------------------------------------------------------------------------------


def test_an_engine_of_our_own_that_dies(engine):
    """No engine answers: one is started; killed, it is started again, and environments live through it."""
    clean = {"CONTAINER_HOST": "", "DOCKER_HOST": ""}
    if os.path.exists("/run/podman/podman.sock") or os.path.exists("/var/run/docker.sock"):
        pytest.skip("an engine's socket is in its usual place here")
    stack = Stack(engine, own_service=True)
    stack.start("server")
    stack.sandbox("plain")
    stack.start("runner", clean)
    try:
        stack.create("ada")
        stack.wait("ada", "Running", 60)
        before = stack.inspect(stack.uid("ada"))["Id"]
        pid = service_of(stack)
        os.kill(pid, 9)
        wait_until(lambda: service_of(stack) not in (None, pid), 30, what="started again")
        wait_until(lambda: stack.condition("ada", "EngineAvailable")["status"] == "True", 30, what="said")
        assert stack.inside("ada", "/")[0] == 200
        stack.create("bob")
        stack.wait("bob", "Running", 60)
        assert stack.inspect(stack.uid("ada"))["Id"] == before
        stack.kill("runner")
        stack.start("runner", clean)
        stack.delete("bob")
        stack.wait_gone("bob")
        second = service_of(stack)
        stack.stop("runner")
        wait_until(lambda: not is_running(second), 30, what="ended")
        stack.start("runner", clean)
        wait_until(lambda: "ada: adopted" in stack.log("runner").split("stopping")[-1], 30)
    finally:
        stack.__exit__(None, None, None)
    assert services(stack) == [], "a service that nobody ends"


def service_of(stack):
    """None: it is just being started."""
    with contextlib.suppress(OSError, ValueError):
        return int((stack.runtime / "engine/engine.pid").read_text())
    return None


def services(stack):
    return subprocess.run(["pgrep", "-f", f"unix://{stack.runtime}/"], capture_output=True, text=True).stdout.split()


def test_a_runner_killed_at_its_start_leaves_no_engine(engine):
    """Nobody comes after it who could end what it started."""
    if os.path.exists("/run/podman/podman.sock") or os.path.exists("/var/run/docker.sock"):
        pytest.skip("an engine's socket is in its usual place here")
    stack = Stack(engine, own_service=True)
    try:
        seen = 0
        for pause in (0.02, 0.05, 0.1, 0.15, 0.3, 0.6, 1, 2, 4, 8):
            if pause >= 1 and seen:
                break  # the longer ones are a slow machine's
            runner = subprocess.Popen(stack.command("runner"), env={**os.environ, "CONTAINER_HOST": "", "DOCKER_HOST": ""},
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(pause)
            runner.kill()
            runner.wait()
            seen += len(services(stack))
        assert seen, "none was started"
        wait_until(lambda: services(stack) == [], 90, what="a service that nobody ends")
    finally:
        stack.__exit__(None, None, None)


@pytest.mark.parametrize("kind", [[], ["docker"]], ids=["podman", "docker"])
def test_the_engine_by_itself(engine, tmp_path_factory, kind):
    """Docker's calls are tried on Podman's answers to them."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        out = subprocess.run([BUILD / "tests/runner/runner-engine", engine, folder, *kind], capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stdout + out.stderr


def test_without_an_engine(engine, tmp_path):
    stack = Stack(tmp_path / "none.sock")
    stack.start("server")
    stack.sandbox("plain")
    stack.start("runner")
    try:
        stack.create("ada")
        status = wait_until(lambda: (lambda s: s if s.get("reason") == "EngineUnavailable" else None)(stack.status("ada")), what="said")
        assert "no container engine answers" in status["message"] and status["phase"] == "Queued"
        stack.stop("runner")
        stack.engine = engine
        stack.start("runner")
        stack.wait("ada", "Running")
    finally:
        stack.__exit__(None, None, None)


def test_what_belongs_to_nobody_goes(stack, engine):
    stack.create("ada")
    stack.wait("ada", "Running")
    installation = stack.inspect(stack.uid("ada"))["Config"]["Labels"][LABEL]
    stack.stop("runner")
    labels = {LABEL: installation, "io.openhydra.device": "ghost", "io.openhydra.device-uid": "0000-ghost"}
    status, answer = ask(engine, "POST", "/v1.41/containers/create?name=open-hydra-0000-ghost", {"Image": IMAGE, "Labels": labels})
    assert status == 201, answer
    other = {**labels, LABEL: "another", "io.openhydra.device-uid": "1111-ghost"}
    status, answer = ask(engine, "POST", "/v1.41/containers/create?name=open-hydra-1111-ghost", {"Image": IMAGE, "Labels": other})
    try:
        (stack.runtime / "env/0123456789abcdef").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", stack.runtime / "env/0123456789abcdef"], check=True)
        stack.start("runner")
        wait_until(lambda: stack.inspect("0000-ghost") is None and "0123456789abcdef" not in stack.places(), 30, what="swept")
        assert stack.inspect("1111-ghost") is not None, "another installation's"
        assert stack.status("ada")["phase"] == "Running"
    finally:
        ask(engine, "DELETE", "/v1.41/containers/open-hydra-1111-ghost?force=true")


def test_what_has_only_the_name_of_ours_is_left_alone(stack, engine):
    """The server chooses uids: with another container's it would otherwise end, read or start that one."""
    stack.stop("runner")
    stack.create("ada")
    uid = stack.uid("ada")
    labels = {LABEL: "another", "io.openhydra.device": "ada", "io.openhydra.device-uid": uid}
    status, answer = ask(engine, "POST", f"/v1.41/containers/create?name=open-hydra-{uid}", {"Image": IMAGE, "Labels": labels, "Env": ["BEHAVIOUR=silent"]})
    assert status == 201, answer
    try:
        stack.start("runner")
        wait_until(lambda: "not ours" in stack.status("ada").get("message", ""), 30, what="noticed")
        for what in ("log", "usage"):
            status, text = ask(stack.runtime / "logs.sock", "GET", f"/devices/{uid}/{what}")
            assert status == 409 and "not ours" in str(text), text
        assert stack.delete("ada")[0] == 200
        stack.wait_gone("ada")
        assert stack.inspect(uid)["State"]["Status"] in ("created", "configured", "initialized")
    finally:
        ask(engine, "DELETE", f"/v1.41/containers/open-hydra-{uid}?force=true")
