"""One student's worst, and a stranger's: N seconds of each attack of a catalogue, then of combinations by chance. All the while what the
others do is answered within a second, and what the service holds grows by less than a stated bound; afterwards it is back to what it was.

ADVERSARY_SECONDS (2) is how long each attack lasts, ADVERSARY_COMBINATIONS (4) how many are tried, ADVERSARY_SEED which ones."""
import collections
import multiprocessing
import os
import random
import time

import pytest
from support.instance import wait_until

import anonymous  # noqa: F401
import measure
import student  # noqa: F401
import within  # noqa: F401
from wire import CATALOGUE, Attack
from witness import Watch
from world import World

pytestmark = pytest.mark.root

SECONDS = float(os.environ.get("ADVERSARY_SECONDS", 2))
COMBINATIONS = int(os.environ.get("ADVERSARY_COMBINATIONS", 4))
SEED = int(os.environ.get("ADVERSARY_SEED", time.time()))
QUIET = 4.0  # seconds before the first attack: how it is when nobody attacks
MB = 2 ** 20

WITHIN = 1.0  # seconds, beyond what the machine itself is late with
# While it lasts. The server: 64 MiB of events, four hashes of 64 MiB, bodies under way. nginx: what connections hold.
GROWTH = {"hydra-server": 448 * MB, "hydra-runner": 32 * MB, "nginx": 256 * MB, "podman": 128 * MB, "run": 16 * MB}
DISK = 200 * MB
LOG_LINES = 100  # a second
# Afterwards. Allocators keep what they once had: memory has a bound of its own, the rest is back to where it was.
AFTERWARDS = {"hydra-server": 128 * MB, "hydra-runner": 16 * MB, "nginx": 96 * MB, "podman": 64 * MB, "run": 8 * MB}
THREADS = {"podman": 96}  # Go's runtime never ends one: as many stay as were blocked in the system at one moment
SETTLES = 180  # seconds: what vanished is noticed within two minutes


def attacker(name, target, results):
    os.nice(19)  # those who attack do so on machines of their own
    attack = CATALOGUE[name]
    a = Attack(target, attack.source)
    try:
        attack(a)
    finally:
        results.put((name, a.answers))


class Report:
    """A line for each attack, and what was worst for the others."""

    def __init__(self):
        self.lines = []

    def add(self, names, answers, worst, control, grown, disk):
        total = collections.Counter()
        for counted in answers.values():
            total.update(counted)
        said = " ".join(f"{k}×{v}" for k, v in total.most_common(5))
        what, seconds = worst
        self.lines.append(f"{'+'.join(names):44.100} worst {seconds:5.2f} s ({what}; machine {control:.2f} s), server {grown / MB:+5.0f} MiB, "
                          f"disk {disk / MB:+5.0f} MiB; {said}")
        print(self.lines[-1], flush=True)


class Scene:
    def __init__(self):
        self.world = World()
        self.hydra = self.world.hydra
        self.watch = Watch(self.world.people())
        wait_until(lambda: {"start", "kubectl", "logs in"} <= {s.what for s in self.watch.samples}, 60, what="witnesses at work")
        time.sleep(QUIET)
        self.before, self.disk_before = measure.processes(self.hydra), measure.disk(*self.world.folders())
        self.quiet = {s.what: s.seconds for s in sorted(self.watch.samples, key=lambda s: s.seconds)}  # the worst of each
        self.report = Report()
        print(f"\nseed {SEED}; quiet: start within {self.quiet['start']:.2f} s, {self.before}")

    def close(self):
        self.watch.close()
        self.world.close()

    def attack(self, *names):
        spawn = multiprocessing.get_context("spawn")
        results = spawn.Queue()
        target = self.world.target(SECONDS, SEED)
        lines = len(self.hydra.lines)
        attackers = [spawn.Process(target=attacker, args=(n, target, results), daemon=True) for n in names]
        begin = time.monotonic()
        for process in attackers:
            process.start()
        peak, disk = self.follow(attackers)
        end = time.monotonic()
        answers = dict(results.get(timeout=30) for _ in attackers)
        time.sleep(0.3)  # samples that are on their way
        self.judge(names, answers, begin, end, peak, disk, len(self.hydra.lines) - lines)

    def follow(self, attackers):
        """The most that was held in the time of these processes."""
        peak, disk = {}, 0
        deadline = time.monotonic() + SECONDS * 3 + 60
        while any(p.is_alive() for p in attackers):
            for name, held in measure.processes(self.hydra).items():
                peak[name] = max(peak.get(name, 0), held.rss)
            disk = max(disk, measure.disk(*self.world.folders()))
            time.sleep(0.1)
            assert time.monotonic() < deadline, "the attackers do not end"
        return peak, disk

    def judge(self, names, answers, begin, end, peak, disk, lines):
        samples = self.watch.between(begin, end)
        control = max((s.seconds for s in samples if s.what == "control"), default=0)
        client = max((s.seconds for s in samples if s.what == "kubectl control"), default=0)
        # A start and a password's hash compute: they are as much slower as a program that has nothing to do with ours.
        slower = max(1, client / self.quiet["kubectl control"])
        own = {"kubectl": client, **{what: self.quiet[what] * slower for what in ("start", "logs in")}}
        late = [(s.what, s.seconds - own.get(s.what, 0)) for s in samples if "control" not in s.what]
        worst = max(late, key=lambda s: s[1], default=("nothing", 0))
        grown = {name: rss - self.before[name].rss for name, rss in peak.items() if name in self.before}
        self.report.add(names, answers, worst, control, grown.get("hydra-server", 0), disk - self.disk_before)
        failures = sorted({f"{s.what}: {s.failure}" for s in samples if s.failure})
        assert not failures, failures[:10]
        assert len(samples) > 10, samples
        assert worst[1] <= WITHIN + control, f"{worst[0]} took {worst[1]:.2f} s"
        for name, limit in GROWTH.items():
            assert grown.get(name, 0) <= limit, f"{name} grew by {grown[name] / MB:.0f} MiB"
        assert disk - self.disk_before <= DISK, f"the disk: {(disk - self.disk_before) / MB:.0f} MiB more"
        assert lines <= LOG_LINES * (end - begin + 1), f"{lines} lines of log"
        # A terminal shows the log.
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for line in self.hydra.lines[-lines - 1:] for c in line.rstrip("\n"))


@pytest.fixture(scope="module")
def scene():
    s = Scene()
    yield s
    print(f"\nwhat open-hydra said at last:\n{s.hydra.output()[-4000:]}")
    s.close()


@pytest.mark.parametrize("name", sorted(CATALOGUE, key=lambda n: (CATALOGUE[n].__module__, n)))
def test_attack(scene, name):
    scene.attack(name)


@pytest.mark.parametrize("number", range(COMBINATIONS))
def test_combination(scene, number):
    chance = random.Random(SEED * 1000 + number)
    scene.attack(*chance.sample(sorted(CATALOGUE), 3))


def test_afterwards(scene):
    """Descriptors, threads, memory and disk are where they were."""
    def back():
        now = measure.processes(scene.hydra)
        wrong = [f"{n}: {now.get(n)} instead of {b}" for n, b in scene.before.items()
                 if n not in now or now[n].descriptors > b.descriptors + 24 or now[n].threads > b.threads + THREADS.get(n, 8)]
        back.wrong = wrong
        return not wrong
    try:
        wait_until(back, SETTLES, 1, what="back to where it was")
    except AssertionError as e:
        raise AssertionError(back.wrong) from e
    now = measure.processes(scene.hydra)
    print(f"\nbefore {scene.before}\nafter  {now}")
    for name, limit in AFTERWARDS.items():
        if name in scene.before:
            assert now[name].rss - scene.before[name].rss <= limit, f"{name}: {now[name]} after {scene.before[name]}"
    disk = measure.disk(*scene.world.folders()) - scene.disk_before
    assert disk <= DISK, f"{disk / MB:.0f} MiB more on the disk"
    samples = scene.watch.samples[-200:]
    assert not [s for s in samples if s.failure], samples
