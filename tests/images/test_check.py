"""Each image's own `check`: run as an environment runs, everything that a student uses is tried."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
BUILT = sorted(each.parent.name for each in (ROOT / "images").glob("*/check") if (ROOT / f"build/images/{each.parent.name}.json").exists())


@pytest.mark.root
@pytest.mark.parametrize("name", BUILT)
def test_check(name):
    done = subprocess.run([ROOT / f"images/{name}/check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
