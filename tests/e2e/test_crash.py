"""kill -9 of server and runner at any moment: nothing that was acknowledged is lost, nothing is left behind, nobody is cut off."""
import contextlib
import http.client
import json
import os
import pathlib
import random
import subprocess
import threading
import time

import pytest
import requests

from support.instance import GROUP, Instance, wait_until
from support.lab import Lab
from support.unix import Connection, ask
from support.writers import NO_ANSWER, USERS, Writer

# ---- the server under writes ----------------------------------------------------------------------------------------

# What nginx says of a client with an administrator's certificate.
CERTIFIED = {"X-Open-Hydra-Listener": "api", "X-Client-Verify": "SUCCESS", "X-Client-Subject": "CN=test,O=system:masters", "X-Client-Serial": "01"}
ROUNDS, MOST_ROUNDS, SECONDS = 50, 400, 150


class Server:
    """The server alone (`serve`), which is back in a moment. The tests are its gateway."""

    def __init__(self, instance):
        self.instance = instance
        self.socket = instance.runtime / "gateway/gateway.sock"
        self.log = open(instance.home / "server.log", "ab")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.instance.command("serve"), stdout=self.log, stderr=self.log, env=self.instance.env)
        wait_until(lambda: self.process.poll() is not None or self.answers(), 60, every=0.01, what="server")
        assert self.process.poll() is None, self.said()

    def answers(self):
        with contextlib.suppress(*NO_ANSWER):
            return ask(self.socket, "GET", "/readyz", headers=CERTIFIED, timeout=5)[0] == 200

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(40) == 0, self.said()

    def said(self):
        return (self.instance.home / "server.log").read_text(errors="replace")[-6000:]

    def ask(self, method, path, body=None):
        return ask(self.socket, method, path, body, headers=CERTIFIED, timeout=30)


class Reader(threading.Thread):
    """A watch that is resumed at its last revision whenever it breaks."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.events, self.resumed = server, [], 0
        self.position, self.stop, self.failure = 0, False, None

    def run(self):
        while not self.stop:
            try:
                self.follow()
            except NO_ANSWER:
                time.sleep(0.01)
            except BaseException as e:
                self.failure = e
                return
            self.resumed += 1

    def follow(self):
        connection = Connection(self.server.socket, 5)
        try:
            connection.request("GET", f"{USERS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=3&resourceVersion={self.position or 1}", headers=CERTIFIED)
            answer = connection.getresponse()
            assert answer.status in (200, 503), answer.read()
            while answer.status == 200 and (line := answer.readline()):
                if not line.endswith(b"\n"):
                    return  # cut in the midst
                self.take(json.loads(line))
        finally:
            connection.close()

    def take(self, event):
        assert event["type"] != "ERROR", event
        revision = int(event["object"]["metadata"]["resourceVersion"])
        if event["type"] == "BOOKMARK":
            assert revision >= self.position
        else:
            assert revision > self.position, f"{revision} after {self.position}"
            self.events.append((event["type"], revision, event["object"]["metadata"]["name"], event["object"]["spec"].get("description")))
        self.position = revision


def kill_at_random(server, writers, rounds):
    """Half of the kills come at any moment, half within a moment after somebody has sent a write."""
    chance = random.Random(rounds)
    if rounds % 2:
        time.sleep(chance.uniform(0.01, 0.2))
    else:
        time.sleep(0.03)
        one = chance.choice(writers)
        one.sent.clear()
        one.sent.wait(5)
        time.sleep(chance.uniform(0, 0.006))
    server.kill()
    server.start()


@pytest.fixture
def server():
    instance = Instance()
    server = Server(instance)
    server.start()
    yield server
    if server.process.poll() is None:
        server.kill()
    instance.remove()


def test_server_under_writes(server):
    status, first = server.ask("POST", USERS, {"metadata": {"name": "first"}, "spec": {"role": 1}})
    assert status == 201
    stop, reader = threading.Event(), Reader(server)
    reader.position = int(first["metadata"]["resourceVersion"])
    writers = [Writer(server, number, stop) for number in range(4)]
    for thread in [reader, *writers]:
        thread.start()
    try:
        began, rounds = time.monotonic(), 0
        while rounds < ROUNDS or (sum(w.lost_replies for w in writers) == 0 and rounds < MOST_ROUNDS and time.monotonic() - began < SECONDS):
            kill_at_random(server, writers, rounds)
            rounds += 1
            assert not any(t.failure for t in [reader, *writers]), [t.failure for t in [reader, *writers]]
    finally:
        stop.set()
        for writer in writers:
            writer.join(60)
    assert not any(w.is_alive() or w.failure for w in writers), [w.failure for w in writers]

    last = server.ask("GET", USERS)[1]
    wait_until(lambda: reader.failure or reader.position >= int(last["metadata"]["resourceVersion"]), 60, what="the watch's end")
    reader.stop = True
    reader.join(30)
    assert reader.failure is None, reader.failure
    print(f"{rounds} kills, {sum(w.done for w in writers)} writes acknowledged, {sum(w.lost_replies for w in writers)} stored without a reply, "
          f"{sum(w.undone for w in writers)} neither, watch resumed {reader.resumed} times")
    check_objects(last["items"], writers)
    check_events(reader.events, writers)
    assert sum(w.lost_replies for w in writers) > 0, "no kill came between commit and reply"

    # The same again from what is on disk alone.
    server.stop()
    server.start()
    again = server.ask("GET", USERS)[1]
    assert again["items"] == last["items"]
    assert int(again["metadata"]["resourceVersion"]) == int(last["metadata"]["resourceVersion"])
    server.stop()
    text = (server.instance.home / "server.log").read_text(errors="replace")
    assert "ERROR: AddressSanitizer" not in text and "runtime error:" not in text, text[-6000:]


def check_objects(items, writers):
    """Every acknowledged object is there once with its last acknowledged content; what was deleted is not."""
    names = [item["metadata"]["name"] for item in items]
    assert len(names) == len(set(names))
    expected = {"first": None}
    for writer in writers:
        expected.update(writer.present)
    assert {item["metadata"]["name"]: item["spec"].get("description") for item in items} == expected
    assert len({item["metadata"]["uid"] for item in items}) == len(items)


def check_events(events, writers):
    """Each change once and in order, and all together they make what is there."""
    revisions = [revision for _, revision, _, _ in events]
    assert revisions == sorted(set(revisions))
    acknowledged = set().union(*(w.revisions for w in writers))
    assert acknowledged <= set(revisions), sorted(acknowledged - set(revisions))[:10]
    there = {}
    for kind, revision, name, text in events:
        assert (kind == "ADDED") == (name not in there), (kind, name, revision)
        if kind == "DELETED":
            del there[name]
        else:
            there[name] = text
    expected = {}
    for writer in writers:
        expected.update(writer.present)
    assert there == expected


# ---- the runner while environments come and go --------------------------------------------------------------------------

RUNNER_KILLS = 8


class Teacher(threading.Thread):
    """Starts and stops one student's environment again and again."""

    def __init__(self, hydra, name, stop):
        super().__init__(daemon=True)
        self.hydra, self.name, self.stop, self.failure = hydra, name, stop, None
        self.random, self.uids = random.Random(name), []

    def run(self):
        try:
            while not self.stop.is_set():
                self.uids.append(self.hydra.create_device(self.name)["metadata"]["uid"])
                if self.random.random() < 0.5:
                    self.hydra.wait_phase(self.name, "Running", 120)
                else:
                    time.sleep(self.random.uniform(0, 1))
                assert self.hydra.admin().delete(f"devices/{self.name}").status_code == 200
                self.hydra.wait_gone(self.name, 120)
        except BaseException as e:
            self.failure = e


def engine_socket(hydra):
    line = next(line for line in reversed(list(hydra.lines)) if "container engine: " in line)
    return line.rsplit(" on ", 1)[1].strip()


def containers(hydra, uids):
    status, found = ask(engine_socket(hydra), "GET", "/v1.41/containers/json?all=true")
    assert status == 200, found
    return [one["Names"] for one in found if any(uid in json.dumps(one) for uid in uids) or str(hydra.runtime) in json.dumps(one)]


def mounts(hydra):
    return [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if f" {hydra.runtime}/env/" in line]


def places(hydra):
    return sorted(path.name for path in (hydra.runtime / "env").iterdir())


@pytest.mark.root
def test_runner_while_devices_come_and_go(fresh):
    names = [f"s{i}" for i in range(3)]
    for name in [*names, "stays"]:
        fresh.create_user(name)
    stays = fresh.create_device("stays")["metadata"]["uid"]
    fresh.wait_phase("stays", "Running", 120)
    before, its_places, its_mounts = fresh.device("stays"), places(fresh), mounts(fresh)
    stop, chance = threading.Event(), random.Random(8)
    teachers = [Teacher(fresh, name, stop) for name in names]
    for teacher in teachers:
        teacher.start()
    for _ in range(RUNNER_KILLS):
        time.sleep(chance.uniform(0.1, 2.5))
        pid = wait_until(lambda: fresh.child("runner"), 30, what="runner")
        os.kill(pid, 9)
        wait_until(lambda: fresh.child("runner") not in (None, pid), 30, what="another runner")
        assert not any(t.failure for t in teachers), [t.failure for t in teachers]
    stop.set()
    for teacher in teachers:
        teacher.join(240)
    assert not any(t.is_alive() or t.failure for t in teachers), [t.failure for t in teachers]

    # What ran all the time was adopted, not started anew.
    after = fresh.device("stays")
    assert after["status"]["phase"] == "Running" and after["status"]["startedAt"] == before["status"]["startedAt"]
    assert after["status"].get("restarts", 0) == before["status"].get("restarts", 0)
    assert [d["metadata"]["name"] for d in fresh.admin().get("devices").json()["items"]] == ["stays"]
    gone = [uid for teacher in teachers for uid in teacher.uids]
    left = lambda: ([c for c in containers(fresh, gone) if stays not in str(c)], places(fresh), mounts(fresh))
    wait_until(lambda: left() == ([], its_places, its_mounts), 60, what="only what is wanted is there")
    fresh.admin().delete("devices/stays")
    fresh.wait_gone("stays")
    wait_until(lambda: (containers(fresh, [*gone, stays]), places(fresh), mounts(fresh)) == ([], [], []), 60, what="nothing is left over")


# ---- nobody is cut off ------------------------------------------------------------------------------------------------


class Asker(threading.Thread):
    """Asks again and again, with a new connection each time or the one it has; every answer must be good."""

    def __init__(self, what, request):
        super().__init__(daemon=True)
        self.what, self.request, self.count, self.bad, self.stop, self.slowest = what, request, 0, [], False, 0.0

    def run(self):
        while not self.stop:
            began = time.monotonic()
            try:
                status = self.request()
                if status != 200:
                    self.bad.append(status)
            except (requests.RequestException, OSError) as e:
                self.bad.append(repr(e))
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.count += 1


@pytest.mark.root
def test_restarts_cut_nobody_off(fresh):
    fresh.create_user("anna")
    fresh.create_device("anna")
    fresh.wait_phase("anna", "Running", 120)
    lab = Lab(*fresh.environment(fresh.login("anna", "password"), "anna"))
    kernel = lab.kernel()
    assert kernel.execute("x = 41; x") == "41"
    terminal = lab.terminal()

    def through_api():
        with requests.Session() as session:
            session.trust_env = False
            files = fresh.certificate_files()
            return session.get(f"https://127.0.0.1:{fresh.api_port}{GROUP}/devices", verify=files["ca"], cert=(files["crt"], files["key"]), timeout=60).status_code

    kept = fresh.login("anna", "password")
    askers = [Asker("API", through_api), Asker("dashboard", lambda: kept.get("devices", timeout=60).status_code),
              Asker("environment", lambda: lab.request("GET", "/api/contents").status_code)]
    for asker in askers:
        asker.start()
    for count, name in enumerate(("server", "runner", "server", "server", "runner"), 42):
        counts = [asker.count for asker in askers]
        pid = wait_until(lambda: fresh.child(name), 30, what=name)
        os.kill(pid, 9)
        wait_until(lambda: fresh.child(name) not in (None, pid), 30, what=f"another {name}")
        wait_until(lambda: all(a.count > c + 3 for a, c in zip(askers, counts)), 60, what="answers after the restart")
        assert kernel.execute("x += 1; x") == str(count)
    for asker in askers:
        asker.stop = True
        asker.join(60)
    assert {a.what: a.bad for a in askers if a.bad} == {}
    assert kernel.execute("'still ' + 'here'") == "'still here'", "the socket that was open all the time"
    terminal.type("echo also-$((1+1))")
    terminal.until("also-2")
    wait_until(lambda: fresh.device("anna")["status"]["phase"] == "Running", 60)
    assert fresh.device("anna")["status"].get("restarts", 0) == 0
    # And new ones begin as before.
    second = lab.kernel()
    assert second.execute("1+1") == "2"


@pytest.mark.root
def test_the_whole_is_killed(fresh):
    """kill -9 of `run` itself: environments go on, the next start adopts them."""
    fresh.create_user("anna")
    fresh.create_device("anna")
    fresh.wait_phase("anna", "Running", 120)
    before = fresh.device("anna")
    lab = Lab(*fresh.environment(fresh.login("anna", "password"), "anna"))
    lab.write("kept.txt", "yes")
    pids = [fresh.child(name) for name in ("server", "runner", "nginx")]
    fresh.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 30, what="its processes end with it")
    fresh.start()
    after = fresh.wait_phase("anna", "Running", 120)
    assert after["metadata"]["uid"] == before["metadata"]["uid"] and after["status"]["startedAt"] == before["status"]["startedAt"]
    wait_until(lambda: lab.request("GET", "/api/contents").status_code == 200, 30, what="reached as before")
    assert lab.read("kept.txt") == "yes"
