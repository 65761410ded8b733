import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support.instance import Instance, WithoutRunner  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "root: needs root (user namespaces with chosen host ids, mounts)")


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            if "root" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs root"))


def with_headmaster(instance):
    """There is an administrator besides the certificate's, so that no test's user is the last one."""
    instance.create_user("headmaster", "the-head-knows", role=1)
    return instance


@pytest.fixture(scope="session")
def hydra():
    """One running instance that many tests share; each uses names of its own."""
    with Instance(environments=500) as instance:
        yield with_headmaster(instance)


@pytest.fixture(scope="session")
def undisturbed():
    """Another that is shared, in which nothing is written but by the tests."""
    with WithoutRunner() as instance:
        yield with_headmaster(instance)


@pytest.fixture
def fresh():
    """An instance that belongs to one test."""
    with Instance() as instance:
        yield instance


@pytest.fixture
def admin(hydra):
    return hydra.admin()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """What the program said goes beside a failure."""
    report = (yield).get_result()
    if report.failed and "FAILED_TESTS" in os.environ:
        with open(os.environ["FAILED_TESTS"], "a") as f:
            print("tests/" + item.nodeid, file=f)
    instance = getattr(item, "funcargs", {}).get("fresh") or getattr(item, "funcargs", {}).get("hydra")
    if report.failed and instance is not None:
        report.sections.append(("what open-hydra said", instance.output()[-6000:]))
