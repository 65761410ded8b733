import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from world import World, arrange  # noqa: E402


@pytest.fixture(scope="module")
def world():
    """Two students with an environment each, an administrator, and nobody's port."""
    w = World()
    try:
        arrange(w)
        yield w
    finally:
        w.close()


@pytest.fixture(scope="module")
def narrow():
    """With few descriptors, and so few connections."""
    w = World(nofile=2048)
    try:
        arrange(w)
        yield w
    finally:
        w.close()


@pytest.fixture
def other_world():
    """Makes worlds with other settings; closed afterwards."""
    made = []

    def make(*args, **kwargs):
        made.append(World(*args, **kwargs))
        arrange(made[-1])
        return made[-1]

    yield make
    for w in made:
        w.close()
