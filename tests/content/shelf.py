"""The stand (stand.c), and what is looked at afterwards."""
import json
import os
import pathlib
import stat
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("OPENHYDRA_BUILD", ROOT / "build/asan"))
STAND = BUILD / "tests/content/content-stand"
UNPACK = BUILD / "src/open-hydra-unpack"

LIMITS = {"bytes": 1 << 30, "entries": 100000, "depth": 100, "ratio": 0}


def command(archive, name, folder, stop=0, silent=0, **limits):
    n = {**LIMITS, **limits}
    return [STAND, "unpack", UNPACK, archive, name, folder, *(str(n[k]) for k in ("bytes", "entries", "depth", "ratio")), str(silent), str(stop)]


def unpack(archive, name, folder, **rest):
    out = subprocess.run(command(archive, name, folder, **rest), capture_output=True, text=True, timeout=250)
    assert out.stdout, f"{out.returncode}: {out.stderr}"
    return json.loads(out.stdout)


def ask(*words, wrap=()):
    """One call of the exchange's. None where it was killed."""
    # The sanitizer's look for leaks cannot be traced.
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"} if wrap else None
    out = subprocess.run([*wrap, STAND, *map(str, words)], capture_output=True, text=True, timeout=120, env=env)
    return json.loads(out.stdout) if out.stdout else None


def files(folder):
    """Every file with its content."""
    folder = pathlib.Path(folder)
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def only_harmless(folder):
    """Files and folders, with the modes that they may have and one name each."""
    for top, folders, names in os.walk(folder):
        for name in folders + names:
            found = os.lstat(os.path.join(top, name))
            assert stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode), name
            assert stat.S_IMODE(found.st_mode) in ((0o644, 0o755) if stat.S_ISREG(found.st_mode) else (0o755,)), name
            assert found.st_nlink == 1 or stat.S_ISDIR(found.st_mode), name
