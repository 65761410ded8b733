"""The engine of this machine with the tests' image, and server and runner on it."""
import pytest

from runner.stack import Stack, engine_socket, load_image


@pytest.fixture(scope="session")
def engine():
    path = engine_socket()
    load_image(path)
    return path


@pytest.fixture
def stack(engine):
    with Stack(engine) as stack:
        yield stack
