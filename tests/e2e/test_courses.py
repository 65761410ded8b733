"""«Start working on it»: a course in the home of a student, by the environment itself."""
import threading
import urllib.parse

import pytest

from support.answers import fresh_name, is_status
from support.lab import Student
from support.uploads import send, settled, zipped

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def student(hydra):
    return Student(hydra, fresh_name("worker"))


@pytest.fixture
def kernel(student):
    kernel = student.lab().kernel()
    yield kernel
    kernel.close()


def publish(admin, course, files):
    send(admin, f"courses/{urllib.parse.quote(course)}", zipped(**files), filename="a.zip")
    return settled(admin, f"courses/{urllib.parse.quote(course)}")


def work(session, device, course):
    return session.post(f"devices/{device}/course", json={"spec": {"course": course}})


def test_a_student_works_on_a_course(hydra, student, kernel):
    admin, course = hydra.admin(), fresh_name("lesson")
    publish(admin, course, {"plot.ipynb": "one", "data/a.csv": "1"})
    answer = work(student.session, student.name, course)
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert got["kind"] == "DeviceCourse" and got["status"]["counts"]["new"] == 2 and got["status"]["folder"] == f"courses/{course}"
    # It is the student's, and ids hold.
    lab = student.lab()
    assert lab.read(f"courses/{course}/data/a.csv") == "1"
    assert kernel.execute(f"import os; os.stat('/home/student/courses/{course}/plot.ipynb').st_uid == os.getuid()") == "True"
    lab.write(f"courses/{course}/data/a.csv", "mine")
    publish(admin, course, {"plot.ipynb": "two", "data/a.csv": "2"})
    got = work(student.session, student.name, course).json()["status"]
    assert got["counts"]["updated"] == 1 and got["counts"]["both"] == 1
    assert got["files"] == [{"path": "plot.ipynb", "what": "updated"}, {"path": "data/a.csv", "what": "both", "beside": "data/a (new 2).csv"}]
    assert lab.read(f"courses/{course}/data/a.csv") == "mine" and lab.read(f"courses/{course}/data/a (new 2).csv") == "2"


def test_one_in_chinese_by_its_title(hydra, student, kernel):
    course = "深度学习 " + fresh_name("x")[-6:]
    publish(hydra.admin(), course, {"说明.md": "文字"})
    got = work(student.session, student.name, course)
    assert got.status_code == 200 and got.json()["status"]["folder"] == f"courses/{course}", got.text
    assert kernel.execute(f"open('/home/student/courses/{course}/说明.md').read()") == "'文字'"


def test_by_the_command_line(hydra, student, tmp_path):
    course = fresh_name("raw")
    publish(hydra.admin(), course, {"a.py": "one"})
    body = tmp_path / "course.json"
    body.write_text(f'{{"spec":{{"course":"{course}"}}}}')
    out = hydra.kubectl("create", "--raw", f"/apis/open-hydra-server.openhydra.io/v1/devices/{student.name}/course", "-f", str(body)).stdout
    assert '"new":1' in out


def test_who_may_and_what_is_not_there(hydra, student):
    other = fresh_name("other")
    hydra.create_user(other)
    is_status(work(hydra.login(other, "password"), student.name, "lesson"), 403, "Forbidden", "")
    is_status(work(student.session, student.name, fresh_name("nowhere")), 404, "NotFound", "no course of that name")
    is_status(work(student.session, student.name, "../dataset-public"), 400, "BadRequest", "name: ")
    is_status(work(hydra.admin(), fresh_name("nobody"), "lesson"), 404, "NotFound", "")


def test_a_python_of_the_home_is_not_asked(hydra, student, kernel):
    """Neither one on the path, nor what it would read."""
    course = fresh_name("safe")
    publish(hydra.admin(), course, {"a.py": "one"})
    kernel.execute("import os\nfor name in ('.local/bin', '.local/lib/python3.11/site-packages'): os.makedirs(os.path.expanduser(f'~/{name}'), exist_ok=True)\n"
                   "for name in ('.local/bin/python3', '.local/lib/python3.11/site-packages/usercustomize.py', 'json.py'):\n"
                   "    path = os.path.expanduser(f'~/{name}'); open(path, 'w').write('#!/bin/sh\\nexit 3\\n'); os.chmod(path, 0o755)")
    got = work(student.session, student.name, course)
    kernel.execute("for name in ('.local/bin/python3', '.local/lib/python3.11/site-packages/usercustomize.py', 'json.py'): os.unlink(os.path.expanduser(f'~/{name}'))")
    assert got.status_code == 200 and got.json()["status"]["counts"]["new"] == 1, got.text


def test_many_at_once_are_one_after_the_other_or_refused(hydra, student):
    course = fresh_name("twice")
    publish(hydra.admin(), course, {f"{i}.txt": "x" * 1000 for i in range(300)})
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(work(student.session, student.name, course))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 409}, [answer.text for answer in answers]
    assert sum(answer.json()["status"]["counts"]["new"] for answer in answers if answer.status_code == 200) == 300
    assert work(student.session, student.name, course).json()["status"]["counts"]["same"] == 300
