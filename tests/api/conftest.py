import pytest

from support.answers import fresh_name


@pytest.fixture
def user(hydra):
    """A student of the test's own."""
    return hydra.create_user(fresh_name("student"))["metadata"]["name"]


@pytest.fixture
def imageless(hydra):
    """A sandbox whose image is nowhere: its devices are objects like others, and no container starts. One of an instance's."""
    answer = hydra.admin().post("sandboxes", json={
        "metadata": {"name": "imageless"},
        "spec": {"cpuImageName": "localhost/open-hydra/nowhere:none", "socket": "/run/open-hydra/environment.sock"}})
    assert answer.status_code in (201, 409), answer.text
    return "imageless"


@pytest.fixture
def device(hydra, user, imageless):
    """A device that will not start, of a student of its own."""
    return hydra.create_device(user, sandboxName=imageless)


@pytest.fixture
def sandbox(admin):
    """For what all kinds have in common. A runner would write into it what it finds of its images."""
    answer = admin.post("sandboxes", json={"metadata": {"name": fresh_name("box"), "labels": {"test": "yes"}},
                                           "spec": {"cpuImageName": "localhost/a:b", "displayTitle": "one"}})
    assert answer.status_code == 201, answer.text
    return answer.json()
