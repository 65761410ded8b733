"""Data sets and courses as a student has them: in an environment that runs while they come, change and go."""
import pytest

from support.answers import fresh_name
from support.instance import wait_until
from support.lab import Student
from support.uploads import send, settled, zipped

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def student(hydra):
    return Student(hydra, fresh_name("reader"))


@pytest.fixture
def kernel(student):
    kernel = student.lab().kernel()
    yield kernel
    kernel.close()


@pytest.mark.parametrize("kind,folder", [("datasets", "dataset-public"), ("courses", "course-public")])
def test_a_student_sees_what_comes_and_what_replaces_it(hydra, kernel, kind, folder):
    admin, name = hydra.admin(), fresh_name("seen")
    inside = f"/home/student/{folder}/{name}"
    send(admin, f"{kind}/{name}", zipped(**{"dir/a.txt": "one"}), filename="a.zip")
    settled(admin, f"{kind}/{name}")
    assert kernel.execute(f"reader = open('{inside}/dir/a.txt'); reader.read()") == "'one'"
    send(admin, f"{kind}/{name}", zipped(**{"dir/a.txt": "two", "b.txt": "more"}), filename="b.zip")
    settled(admin, f"{kind}/{name}")
    assert kernel.execute(f"open('{inside}/dir/a.txt').read() + open('{inside}/b.txt').read()") == "'twomore'"
    # Who has a file open keeps it.
    assert kernel.execute("reader.seek(0); reader.read()") == "'one'"
    answer = admin.patch(f"{kind}/{name}", json={"spec": {"version": 1}}, headers={"Content-Type": "application/merge-patch+json"})
    assert answer.status_code == 200, answer.text
    wait_until(lambda: admin.get(f"{kind}/{name}").json()["status"]["version"] == 1, 30, what="the former content")
    assert kernel.execute(f"import os; open('{inside}/dir/a.txt').read() + str(os.listdir('{inside}'))") == "\"one['dir']\""
    assert admin.delete(f"{kind}/{name}").status_code == 200
    wait_until(lambda: kernel.execute(f"os.path.exists('{inside}')") == "False", 30, what="content gone")


def test_nothing_of_it_is_a_students_to_change_or_beyond(hydra, kernel):
    admin, name = hydra.admin(), fresh_name("closed")
    send(admin, f"datasets/{name}", zipped(**{"a.txt": "one"}), filename="a.zip")
    settled(admin, f"datasets/{name}")
    base = "/home/student/dataset-public"
    kernel.execute("def tried(f, *a):\n    try:\n        f(*a)\n    except OSError as e:\n        return e.strerror\n    return 'done'\nimport os")
    for call in (f"open, '{base}/{name}/a.txt', 'a'", f"os.mkdir, '{base}/mine'", f"os.rename, '{base}/{name}', '{base}/x'"):
        assert kernel.execute(f"tried({call})") in ("'Read-only file system'", "'Permission denied'"), call
    assert kernel.execute(f"os.statvfs('{base}/{name}').f_flag & os.ST_RDONLY") == "1"
    assert kernel.execute(f"tried(os.listdir, '{base}/.open-hydra')") == "'Permission denied'"
    assert kernel.execute(f"tried(os.stat, '{base}/.open-hydra/uploads')") == "'Permission denied'"
