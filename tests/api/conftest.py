import os
import signal

import pytest

from support.answers import fresh_name


@pytest.fixture
def user(hydra):
    """A student of the test's own."""
    return hydra.create_user(fresh_name("student"))["metadata"]["name"]


@pytest.fixture(scope="session")
def imageless(hydra):
    """A sandbox whose image is nowhere: its devices are objects like others, and no container starts."""
    answer = hydra.admin().post("sandboxes", json={
        "metadata": {"name": "imageless"},
        "spec": {"cpuImageName": "localhost/open-hydra/nowhere:none", "socket": "/run/open-hydra/environment.sock"}})
    assert answer.status_code == 201, answer.text
    return "imageless"


@pytest.fixture
def device(hydra, user, imageless):
    """A device that will not start, of a student of its own."""
    return hydra.create_device(user, sandboxName=imageless)


@pytest.fixture(scope="module")
def nothing_acts(hydra):
    """The runner stands still: it would write into sandboxes what it finds of their images."""
    runner = hydra.child("runner")
    os.kill(runner, signal.SIGSTOP)
    yield
    os.kill(runner, signal.SIGCONT)


@pytest.fixture
def sandbox(admin):
    """An object that nothing acts on: for what all kinds have in common."""
    answer = admin.post("sandboxes", json={"metadata": {"name": fresh_name("box"), "labels": {"test": "yes"}},
                                           "spec": {"cpuImageName": "localhost/a:b", "displayTitle": "one"}})
    assert answer.status_code == 201, answer.text
    return answer.json()
