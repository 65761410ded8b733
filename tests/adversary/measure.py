"""What the processes of an instance hold, and what lies on its disk."""
import contextlib
import dataclasses
import os
import pathlib


@dataclasses.dataclass
class Held:
    rss: int = 0          # bytes
    threads: int = 0
    descriptors: int = 0

    def __str__(self):
        return f"{self.rss / 2**20:.0f} MiB, {self.threads} threads, {self.descriptors} descriptors"


def children(pid):
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from children(int(child))


def name(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def held(pid, into):
    with contextlib.suppress(OSError):
        status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        into.rss += int(status.get("VmRSS", "0 kB").split()[0]) * 1024
        into.threads += int(status["Threads"])
        into.descriptors += len(os.listdir(f"/proc/{pid}/fd"))


def processes(instance):
    """{name: Held}, of all processes of that name: server, runner, nginx, podman, run."""
    found = {"run": Held()}
    held(instance.process.pid, found["run"])
    for pid in children(instance.process.pid):
        held(pid, found.setdefault(name(pid), Held()))
    return found


def disk(*folders):
    """Bytes that are used below these folders, of files that are open without a name too as far as the file system tells."""
    total = 0
    for folder in folders:
        for root, _, files in os.walk(folder):
            for file in files:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(root, file)).st_blocks * 512
    return total
