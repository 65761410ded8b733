"""What /proc says of processes that go on meanwhile: what has gone between two looks is left out."""
import contextlib
import os
import pathlib

PROC = pathlib.Path("/proc")


def children(pid):
    with contextlib.suppress(OSError):
        return [int(p) for p in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    return []


def is_running(pid):
    """A zombie has ended."""
    with contextlib.suppress(OSError):
        return (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def name_of(pid):
    with contextlib.suppress(OSError):
        return (PROC / f"{pid}/comm").read_text().strip()
    return ""


def open_files(pid):
    """Where its descriptors lead."""
    found = set()
    with contextlib.suppress(OSError):
        for fd in (PROC / f"{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(os.readlink(fd))
    return found


def of_user(uid):
    found = []
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"\nUid:\t{uid}\t" in (folder / "status").read_text():
                found.append(int(folder.name))
    return found


def peak(pid):
    """The most memory that it had in use, in KiB, since the last call of forget_peak."""
    for line in (PROC / f"{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])


def forget_peak(pid):
    (PROC / f"{pid}/clear_refs").write_text("5")
    return peak(pid)
