"""Archives of a class: many small files, and a few large ones. In memory: a disk would hide what differs."""
import os
import pathlib
import shutil
import statistics
import subprocess
import time

PROGRAMS = pathlib.Path(os.environ.get("OPENHYDRA_BUILD", "build/release"))
STAND, UNPACK = PROGRAMS / "tests/content/content-stand", PROGRAMS / "src/open-hydra-unpack"
LIMITS = [str(1 << 40), "1000000", "100", "0", "0", "0"]


def tree(folder):
    """A thousand files of text in each of twenty folders, and four of 64 MiB that pack badly."""
    words = b"the quick brown fox jumps over the lazy dog 0123456789\n"
    for d in range(20):
        (folder / f"lesson-{d}").mkdir(parents=True)
        for i in range(1000):
            (folder / f"lesson-{d}/page-{i}.txt").write_bytes(words * (10 + i % 60))
    for i in range(4):
        (folder / f"data-{i}.bin").write_bytes(os.urandom(64 << 20))


def timed(command, into):
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def compare(report, o, folder, name, size):
    archive, into = folder / name, folder / "into"
    ours, theirs = [], []
    for _ in range(o.rounds):
        ours.append(timed([STAND, "unpack", UNPACK, archive, name, into, *LIMITS], into))
        theirs.append(timed(["bsdtar", "-x", "-f", archive, "-C", into], into))
    a, b = size / statistics.median(ours) / 1e6, size / statistics.median(theirs) / 1e6
    report.compare(f"{name}, MB/s as unpacked", {"ours": a, "reference": b, "ratio": a / b}, unit=" MB/s", at_least=0.8)


def figures(report, o, folder):
    tree(folder / "tree")
    size = sum(p.stat().st_size for p in (folder / "tree").rglob("*") if p.is_file())
    for name, form in (("course.zip", ["--format=zip"]), ("course.tar", ["--format=pax"]), ("course.tar.gz", ["-z", "--options=gzip:compression-level=1"]),
                       ("course.tar.zst", ["--zstd"])):
        subprocess.run(["bsdtar", "-c", *form, "-f", folder / name, "-C", folder / "tree", "."], check=True)
        compare(report, o, folder, name, size)
