"""«Start working on it» (src/runner/course_work.py): what becomes of a home when a course comes again and again, whatever the student did
meanwhile, and whenever it was ended."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).parents[2] / "src/runner/course_work.py"


def load():
    spec = importlib.util.spec_from_file_location("course_work", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


class Desk:
    """A course, and the home of whoever works on it."""

    def __init__(self, root):
        self.home, self.courses = root / "home", root / "courses"
        self.home.mkdir()
        self.courses.mkdir()

    def publish(self, files, name="lesson"):
        course = self.courses / name
        subprocess.run(["rm", "-rf", course], check=True)
        course.mkdir()
        for path, text in files.items():
            (course / path).parent.mkdir(parents=True, exist_ok=True)
            (course / path).write_text(text)

    def environment(self, **more):
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "OPENHYDRA_COURSES": str(self.courses), **more}

    def work(self, version="", name="lesson", **more):
        out = subprocess.run([sys.executable, "-I", "-S", "-c", PROGRAM.read_text(), name, str(version)], env=self.environment(**more),
                             capture_output=True, text=True, timeout=60)
        assert out.returncode == 0 and not out.stderr, out.stderr
        return json.loads(out.stdout)

    def counts(self, *args, **more):
        got = self.work(*args, **more)
        assert "error" not in got, got
        return {what: n for what, n in got["counts"].items() if n}

    def own(self, path=""):
        return self.home / "courses/lesson" / path

    def files(self):
        return {str(p.relative_to(self.own())): p.read_text() for p in sorted(self.own().rglob("*")) if p.is_file()}

    def left_over(self):
        """What lies in the area beside manifest and lock."""
        return sorted(set(os.listdir(self.home / ".open-hydra/courses/lesson")) - {"manifest", "lock"})


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


# ---- what becomes of each file ----------------------------------------------------------------------------------------


def test_the_first_time_and_nothing_new(desk):
    desk.publish({"a.py": "one", "data/b.csv": "1,2", "课程/说明.md": "文字"})
    (desk.courses / "lesson/empty").mkdir()
    got = desk.work()
    assert got["folder"] == "courses/lesson" and got["counts"]["new"] == 3
    assert {file["path"] for file in got["files"]} == {"a.py", "data/b.csv", "课程/说明.md"}
    assert desk.files() == {"a.py": "one", "data/b.csv": "1,2", "课程/说明.md": "文字"}
    assert desk.own("empty").is_dir()
    assert desk.counts() == {"same": 3}
    assert not desk.left_over()


def test_what_is_new_comes_and_what_was_changed_here_stays(desk):
    desk.publish({"a.py": "one", "b.py": "one", "c.py": "one"})
    desk.counts()
    desk.own("b.py").write_text("mine")
    desk.own("own.py").write_text("my own")
    desk.publish({"a.py": "two", "b.py": "one", "c.py": "one", "d.py": "one"})
    assert desk.counts() == {"updated": 1, "yours": 1, "same": 1, "new": 1}
    assert desk.files() == {"a.py": "two", "b.py": "mine", "c.py": "one", "d.py": "one", "own.py": "my own"}


def test_changed_on_both_sides_both_are_kept(desk):
    desk.publish({"a/plot.py": "one"})
    desk.counts(1)
    desk.own("a/plot.py").write_text("mine")
    desk.publish({"a/plot.py": "two"})
    got = desk.work(2)
    assert got["counts"]["both"] == 1 and got["files"] == [{"path": "a/plot.py", "what": "both", "beside": "a/plot (new 2).py"}]
    assert desk.files() == {"a/plot.py": "mine", "a/plot (new 2).py": "two"}
    # Once: from then on it is known.
    assert desk.counts(2) == {"yours": 1}
    desk.publish({"a/plot.py": "three"})
    assert desk.counts(3) == {"both": 1}
    assert desk.files() == {"a/plot.py": "mine", "a/plot (new 2).py": "two", "a/plot (new 3).py": "three"}
    # Who takes the new one over is on its way again.
    desk.own("a/plot.py").write_text("three")
    desk.publish({"a/plot.py": "four"})
    assert desk.counts(4) == {"updated": 1}


def test_a_file_that_was_there_before_the_course(desk):
    desk.publish({"a.py": "one", "b.py": "one"})
    desk.own().mkdir(parents=True)
    desk.own("a.py").write_text("mine")
    desk.own("b.py").write_text("one")
    desk.own("a (new 1).py").write_text("mine too")
    assert desk.counts(1) == {"both": 1, "same": 1}
    assert desk.files() == {"a.py": "mine", "a (new 1).py": "mine too", "a (new 1, 2).py": "one", "b.py": "one"}


def test_what_was_deleted_here_comes_back_where_it_is_new(desk):
    desk.publish({"a.py": "one", "b.py": "one"})
    desk.counts()
    desk.own("a.py").unlink()
    desk.own("b.py").unlink()
    desk.publish({"a.py": "one", "b.py": "two"})
    assert desk.counts() == {"deleted": 1, "new": 1}
    assert desk.files() == {"b.py": "two"}
    # Who removes the folder begins anew.
    subprocess.run(["rm", "-r", desk.own()], check=True)
    assert desk.counts() == {"new": 2}


def test_what_the_course_has_no_more_stays(desk):
    desk.publish({"a.py": "one", "b.py": "one"})
    desk.counts()
    desk.publish({"a.py": "one"})
    assert desk.counts() == {"same": 1, "withdrawn": 1}
    assert desk.counts() == {"same": 1}
    assert desk.files() == {"a.py": "one", "b.py": "one"}
    desk.publish({"a.py": "one", "b.py": "two"})
    assert desk.counts(3) == {"same": 1, "both": 1}


def test_folders_and_files_that_change_places(desk):
    desk.publish({"x/a.py": "one", "y": "file"})
    desk.counts(1)
    subprocess.run(["rm", "-r", desk.own("x")], check=True)
    desk.own("x").write_text("a file of mine")
    desk.own("y").unlink()
    desk.own("y").mkdir()
    desk.publish({"x/a.py": "two", "y": "changed"})
    assert desk.counts(2) == {"new": 1, "both": 1}
    assert desk.files() == {"x": "a file of mine", "x (new 2)/a.py": "two", "y (new 2)": "changed"}


def test_names_in_chinese_and_long_ones(desk):
    name = "名" * 84 + ".py"
    desk.publish({name: "one"})
    desk.counts(1, LANG="zh_CN.UTF-8")
    desk.own(name).write_text("mine")
    desk.publish({name: "two"})
    assert desk.counts(2, LANG="zh_CN.UTF-8") == {"both": 1}
    (beside,) = set(desk.files()) - {name}
    assert beside.endswith(" (新版 2).py") and beside.startswith("名" * 70) and desk.own(beside).read_text() == "two"


def test_links_and_pipes_are_left_alone(desk, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.py").write_text("outside")
    desk.publish({"d/a.py": "one", "l.py": "one", "p.py": "one"})
    (desk.courses / "lesson/link").symlink_to("/etc/passwd")
    desk.own().mkdir(parents=True)
    desk.own("d").symlink_to(outside)
    desk.own("l.py").symlink_to(outside / "a.py")
    os.mkfifo(desk.own("p.py"))
    assert desk.counts(1) == {"new": 1, "both": 2, "skipped": 1}
    assert (outside / "a.py").read_text() == "outside" and os.listdir(outside) == ["a.py"]
    assert desk.own("d (new 1)/a.py").read_text() == "one" and desk.own("l (new 1).py").read_text() == "one"
    assert desk.own("p (new 1).py").read_text() == "one"


# ---- a home that holds anything ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files":7}', '{"files":{"a.py":[]}}', '{"files":{"a.py":[1,2]}}', "[" * 100000, "\x00\xff"])
def test_a_manifest_that_is_none_costs_nothing(desk, text):
    desk.publish({"a.py": "one", "b.py": "one"})
    desk.counts()
    desk.own("a.py").write_text("mine")
    (desk.home / ".open-hydra/courses/lesson/manifest").write_text(text)
    desk.publish({"a.py": "two", "b.py": "one"})
    got = desk.work(2)
    assert got["forgotten"] and got["counts"]["both"] == 1 and got["counts"]["same"] == 1
    assert desk.files() == {"a.py": "mine", "a (new 2).py": "two", "b.py": "one"}
    assert not desk.work(2)["forgotten"]


@pytest.mark.parametrize("where", [".open-hydra", ".open-hydra/courses", ".open-hydra/courses/lesson", "courses", "courses/lesson"])
@pytest.mark.parametrize("what", ["file", "link", "pipe"])
def test_something_else_in_the_way_is_named(desk, tmp_path, where, what):
    desk.publish({"a.py": "one"})
    path = desk.home / where
    path.parent.mkdir(parents=True, exist_ok=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    {"file": path.touch, "link": lambda: path.symlink_to(elsewhere), "pipe": lambda: os.mkfifo(path)}[what]()
    got = desk.work()
    assert got["reason"] == "Conflict" and f"~/{where} is no folder" in got["error"]
    assert not os.listdir(elsewhere)


@pytest.mark.parametrize("name", ["manifest", "manifest.new", "new", "lock", "was-1"])
@pytest.mark.parametrize("what", ["pipe", "link", "folder"])
def test_anything_in_the_area(desk, tmp_path, name, what):
    desk.publish({"a.py": "one"})
    area = desk.home / ".open-hydra/courses/lesson"
    area.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    {"pipe": lambda: os.mkfifo(area / name), "link": lambda: (area / name).symlink_to(victim), "folder": (area / name).mkdir}[what]()
    got = desk.work()
    assert victim.read_text() == "untouched"
    assert "error" in got or desk.files().get("a.py") == "one"


def test_nothing_of_that_name(desk):
    assert desk.work(name="nowhere")["reason"] == "NotFound"
    assert not (desk.home / "courses").exists()
    out = subprocess.run([sys.executable, "-I", "-S", "-c", PROGRAM.read_text(), "lesson", ""], env={"HOME": str(desk.home)}, capture_output=True)
    assert json.loads(out.stdout)["reason"] == "Conflict"


def test_two_at_once(desk):
    desk.publish({"a.py": "one"})
    desk.counts()
    lock = desk.home / ".open-hydra/courses/lesson/lock"
    with subprocess.Popen(["flock", lock, "-c", "echo held; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        got = desk.work()
        other.communicate(b"\n")
    assert got["reason"] == "Conflict" and "already" in got["error"]
    assert desk.counts() == {"same": 1}


def test_the_report_is_bounded(desk):
    desk.publish({f"{i:04}.py": "one" for i in range(500)})
    got = desk.work()
    assert got["counts"]["new"] == 500 and len(got["files"]) == 200


def test_what_stays_takes_no_room_in_the_report(desk):
    files = {f"{i:04}-{'x' * 200}.py": "one" for i in range(400)}
    desk.publish({**files, "z.py": "one"})
    desk.counts()
    desk.publish({**files, "z.py": "two"})
    got = desk.work()
    assert got["counts"]["same"] == 400 and got["files"] == [{"path": "z.py", "what": "updated"}]


# ---- ended at any point, and in each other's way -----------------------------------------------------------------------


class Killed(BaseException):
    pass


class Interrupted:
    """The program with a hand on each call that changes something: at the n-th it is gone, and does nothing more."""

    calls = ("open", "mkdir", "link", "rename", "unlink", "fsync", "write")

    def __init__(self, monkeypatch, before=None, at=None):
        self.count, self.at, self.before = 0, at, before or (lambda name, args: None)
        for name in self.calls:
            monkeypatch.setattr(os, name, self.wrap(name, getattr(os, name)))

    def wrap(self, name, real):
        def call(*args, **kwargs):
            self.count += 1
            if self.at is not None and self.count >= self.at:
                raise Killed
            self.before(name, args)
            return real(*args, **kwargs)
        return call


def run_here(desk, monkeypatch, version, **how):
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.setenv("OPENHYDRA_COURSES", str(desk.courses))
    module = load()
    before = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        hand = Interrupted(patched, **how)
        try:
            got = module.work_on("lesson", str(version))
            killed = False
        except Killed:
            got, killed = None, True
    for fd in set(os.listdir("/proc/self/fd")) - before:  # as the kernel does at the end of a process
        try:
            os.close(int(fd))
        except OSError:
            pass
    return hand.count, killed, got


def prepare(root):
    """One of each: unchanged, changed here, changed there, both, new, deleted."""
    root.mkdir()
    desk = Desk(root)
    desk.publish({"same.py": "1", "here.py": "1", "there.py": "1", "both.py": "1", "d/there.py": "1", "gone.py": "1"})
    desk.counts(1)
    for name in ("here.py", "both.py"):
        desk.own(name).write_text("mine")
    desk.own("gone.py").unlink()
    desk.publish({"same.py": "1", "here.py": "1", "there.py": "2", "both.py": "2", "d/there.py": "2", "new.py": "2", "gone.py": "1"})
    return desk


WANTED = {"same.py": "1", "here.py": "mine", "there.py": "2", "both.py": "mine", "both (new 2).py": "2", "d/there.py": "2", "new.py": "2"}


def test_ended_at_any_point_it_goes_on_and_nothing_is_lost(tmp_path, monkeypatch):
    calls, killed, _ = run_here(prepare(tmp_path / "whole"), monkeypatch, 2)
    assert not killed and calls > 30
    for at in range(1, calls + 1):
        desk = prepare(tmp_path / f"at-{at}")
        _, killed, _ = run_here(desk, monkeypatch, 2, at=at)
        assert killed, at
        everything = [text for path in desk.home.rglob("*") if path.is_file() for text in [path.read_text()]]
        assert everything.count("mine") == 2, at
        # Ended a second time, where it was about to go on.
        run_here(desk, monkeypatch, 2, at=at)
        got = desk.work(2)
        assert "error" not in got, (at, got)
        assert desk.files() == WANTED, at
        assert not desk.left_over(), at
        assert {what: n for what, n in desk.work(2)["counts"].items() if n} == {"same": 4, "yours": 2, "deleted": 1}, at


def test_a_newer_course_after_an_interruption_is_no_change_of_the_students(tmp_path, monkeypatch):
    calls, _, _ = run_here(prepare(tmp_path / "whole"), monkeypatch, 2)
    for at in range(1, calls + 1):
        desk = prepare(tmp_path / f"at-{at}")
        run_here(desk, monkeypatch, 2, at=at)
        desk.publish({"same.py": "3", "here.py": "1", "there.py": "3", "both.py": "1", "d/there.py": "3", "new.py": "3"})
        desk.work(3)
        files = desk.files()
        assert all(files[name] == "3" for name in ("same.py", "there.py", "d/there.py", "new.py")), (at, files)
        assert files["here.py"] == "mine" and files["both.py"] == "mine", (at, files)


def saved_by(desk, how, text):
    path = desk.own("there.py")
    if how == "in place":
        path.write_text(text)
    elif how == "renamed":
        (desk.own() / ".tmp").write_text(text)
        subprocess.run(["mv", desk.own() / ".tmp", path], check=True)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["in place", "renamed"])
def test_what_the_student_saves_meanwhile_is_never_overwritten(tmp_path, monkeypatch, how):
    calls, _, _ = run_here(prepare(tmp_path / "whole"), monkeypatch, 2)
    for at in range(1, calls + 1):
        desk = prepare(tmp_path / f"{at}")
        seen = []

        def save(name, args):
            if not seen and hand["n"] == at:
                seen.append(1)
                with open(os.devnull, "w"):
                    saved_by(desk, how, "saved just now")

        hand = {"n": 0}

        def before(name, args):
            hand["n"] += 1
            save(name, args)

        run_here(desk, monkeypatch, 2, before=before)
        everywhere = {str(p.relative_to(desk.home)): p.read_text() for p in desk.home.rglob("*") if p.is_file()}
        kept = [path for path, text in everywhere.items() if text == "saved just now"]
        assert seen and kept, (at, everywhere)
        assert any(path.startswith("courses/") for path in kept), (at, kept)


def test_ended_for_good_while_it_runs(desk):
    """SIGKILL, from outside, at whatever point."""
    desk.publish({f"{i:03}/{j}.txt": f"{i}{j}" * 1000 for i in range(30) for j in range(5)})
    command = [sys.executable, "-I", "-S", "-c", PROGRAM.read_text(), "lesson", "1"]
    for seconds in (0.02, 0.05, 0.1, 0.15, 0.2):
        with subprocess.Popen(command, env=desk.environment(), stdout=subprocess.DEVNULL) as one:
            try:
                one.wait(seconds)
            except subprocess.TimeoutExpired:
                one.kill()
    got = desk.work(1)
    assert "error" not in got and got["counts"]["new"] + got["counts"]["same"] == 150
    assert len(desk.files()) == 150 and not desk.left_over()
