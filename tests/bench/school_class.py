"""A class that comes at once: everybody's environment is asked for in the same moment. Ours, and `podman run` of the stock
image for each, as a hub does that starts whatever is asked for."""
import concurrent.futures
import statistics
import threading
import time

import cold
from support.instance import Instance


def ours(students):
    """Seconds until each runs, in their order; all run at the end."""
    names, ready = [f"student-{n}" for n in range(students)], {}
    with Instance(environments=students + 10) as instance:
        for name in names:
            instance.create_user(name)
        begin = time.monotonic()
        for name in names:
            instance.create_device(name)
        while len(ready) < students:
            assert time.monotonic() - begin < cold.WITHIN, f"only {len(ready)} run: {instance.output()[-2000:]}"
            for device in instance.admin().get("devices").json()["items"]:
                phase = device["status"]["phase"]
                assert phase != "Failed", device["status"]
                if phase == "Running":
                    ready.setdefault(device["metadata"]["name"], time.monotonic() - begin)
            time.sleep(0.05)
    return sorted(ready.values())


def stock(students):
    podman, all_run = cold.Podman(), threading.Barrier(students)

    def one(number):
        with cold.stock(podman, number) as seconds:
            all_run.wait(cold.WITHIN)
            return seconds

    try:
        with concurrent.futures.ThreadPoolExecutor(students) as pool:
            return sorted(pool.map(one, range(students)))
    finally:
        podman.remove()


def run(report, students):
    mine, theirs = ours(students), stock(students)
    for what, pick in (("the first", min), ("half of them", statistics.median), ("the last", max)):
        a, b = pick(mine), pick(theirs)
        report.add(f"{students} students at once: until {what} can work", a, "s", b, a / b)
