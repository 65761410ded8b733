"""An instance whose data lie on a disk of its own, an administrator who writes through nginx, and students with environments."""
import contextlib
import itertools
import os
import pathlib
import random
import sys
import threading

import requests
from support.instance import ROOT, Instance, wait_until
from support.writers import USERS, Writer

sys.path.append(str(ROOT / "tests/e2e"))

from inside import container, make_sandbox  # noqa: E402, F401

# How often and how long: `make faults` multiplies it. The seed is in the report's first lines.
TIMES = int(os.environ.get("FAULTS_TIMES", 1))
SEED = int(os.environ.get("FAULTS_SEED", random.randrange(10 ** 6)))
SMALL = {"defaultCpuPerDevice": 500, "defaultRamPerDevice": 256}


class School(Instance):
    def __init__(self, disk=None, config=None, **kwargs):
        super().__init__({**SMALL, **(config or {})}, **kwargs)
        self.disk = disk
        if disk:
            self.data = disk.path / "data"
        self.chance = random.Random(SEED)
        self.token = None
        self.dark = False  # the power is going: nobody hears any more what is said from now on
        self.threads = threading.local()

    def open(self):
        """Starts it, with an administrator who logs in."""
        self.start()
        self.create_user("headmaster", "the-head-knows", role=1)
        self.token = self.log_in("headmaster", "the-head-knows").json()["token"]
        make_sandbox(self)
        return self

    def __enter__(self):
        try:
            return self.open()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def log_in(self, name, password="password", timeout=20):
        return self.visitor().post("/auth/login", json={"username": name, "password": password, "bearer": True}, timeout=timeout)

    def ready(self):
        return self.visitor().get("/readyz", timeout=20).status_code == 200

    # ---- what a writer of support.writers asks -----------------------------------------------------------------

    def ask(self, method, path, body=None, timeout=20):
        if not hasattr(self.threads, "session"):
            self.threads.session = requests.Session()
            self.threads.session.trust_env = False
        try:
            answer = self.threads.session.request(method, self.dashboard + path, json=body, headers={"Authorization": f"Bearer {self.token}"}, timeout=timeout)
        except requests.RequestException as e:
            raise OSError(str(e)) from e
        if self.dark:
            raise OSError("said in the dark")
        try:
            return answer.status_code, answer.json()
        except ValueError:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text[:300]!r} is no Status") from None

    def student(self, name, wait=True):
        self.create_user(name)
        self.create_device(name, sandboxName="hostile")
        if wait:
            self.wait_phase(name, "Running", 60)

    def pid(self, name):
        """Of the environment's first process."""
        return container(self, name)["State"]["Pid"]

    def answers(self, name):
        """The environment through nginx, by somebody who logs in for it. Not yet: a part of the way may just be coming back."""
        try:
            session, base = self.environment(self.login(name, "password"), name)
            return session.get(base + "/", timeout=20).status_code == 200
        except (AssertionError, requests.RequestException) as e:
            print(f"{name}: {e}")
            return False

    # ---- afterwards ---------------------------------------------------------------------------------------------

    def leftovers(self):
        """Mounts, socket folders and processes of this instance."""
        mounts = [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if f" {self.runtime}/" in line]
        env = self.runtime / "env"
        return mounts, sorted(p.name for p in env.iterdir()) if env.exists() else [], self.processes()

    def processes(self):
        """All that name this instance's folder in their arguments: what it started, and what the engine started for it."""
        found = []
        for proc in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (proc / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                if str(self.home) + "/" in words and int(proc.name) != os.getpid():
                    found.append((int(proc.name), words[:120]))
        return found


numbers = itertools.count()


class Writers:
    """So many clients at once that write through nginx; `check` compares what is there with what was acknowledged."""

    def __init__(self, school, count=3):
        self.school, self.stop = school, threading.Event()
        self.writers = [Writer(school, next(numbers), self.stop) for _ in range(count)]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        if exc[0] is None:
            for writer in self.writers:
                writer.join(60)
            assert not any(w.is_alive() or w.failure for w in self.writers), [w.failure for w in self.writers]
            self.check()

    def done(self):
        return sum(w.done for w in self.writers)

    def go_on(self, count=5, seconds=30):
        """So many more writes are acknowledged."""
        before = self.done()
        wait_until(lambda: self.good() or self.done() > before + count, seconds, what="writes go on")

    def good(self):
        assert not any(w.failure for w in self.writers), [w.failure for w in self.writers]

    def check(self):
        status, answer = self.school.ask("GET", USERS)
        assert status == 200, answer
        mine = tuple(f"w{w.number}-" for w in self.writers)
        there = {i["metadata"]["name"]: i["spec"].get("description") for i in answer["items"] if i["metadata"]["name"].startswith(mine)}
        expected = {}
        for writer in self.writers:
            expected.update(writer.present)
        assert there == expected, {k: (there.get(k), expected.get(k)) for k in there.keys() | expected.keys() if there.get(k) != expected.get(k)}
        assert len({i["metadata"]["uid"] for i in answer["items"]}) == len(answer["items"])
