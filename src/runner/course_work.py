"""Copies a course into a home, and later what is new in it. Run inside the environment, as its user, by python3 -I -S -c.

    course_work.py NAME VERSION      of the folder $OPENHYDRA_COURSES/NAME; VERSION: the number of its content, "" where it has none

It goes to ~/courses/NAME. What was given for each file stands in ~/.open-hydra/courses/NAME/manifest: a file with that content was
not changed here and is replaced; one that was is kept, and what is new lies beside it under a name that says so. What was deleted here
comes back where the course changes it. Nothing is removed.

Ended at any point it leaves nothing lost, and goes on when it is called again:
- the manifest says what is coming before the first file comes;
- a file is written elsewhere (`new`) and gets its name when it is on the disk; a name that is taken meanwhile stays as it is;
- what is replaced is moved away first (`was-…`) and looked at there, so that nobody saves into it unseen; it goes at the end.

The last line on standard output is the result, a JSON object; empty lines before it say that it lives. What lies in the home
is only its owner's, and may be anything.
"""
import errno
import fcntl
import hashlib
import json
import os
import stat
import sys
import time

PIECE = 1 << 20
MANIFEST_MAX = 256 << 20
SHOWN = 200  # of the files that something happened to …
SHOWN_BYTES = 64 << 10  # … and of their names
DEPTH_MAX = 100
SECONDS = 1800
HEARTBEAT = 5
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OTHER = "other"  # stands for the hash of what is no file: a link, a folder, a pipe
EMPTY = "folder"  # … and of a folder with nothing in it, in the manifest


class Refused(Exception):
    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


# --- Folders and files ---


def open_folder(at, name, make=False):
    if make:
        try:
            os.mkdir(name, 0o755, dir_fd=at)
        except FileExistsError:
            pass
    return os.open(name, FOLDER, dir_fd=at)


def walk(root, parts):
    """The folder there, through no link; the caller closes."""
    at = os.dup(root)
    for part in parts:
        try:
            below = open_folder(at, part)
        finally:
            os.close(at)
        at = below
    return at


def own_folder(at, names):
    """Makes them, one in the other."""
    at = os.dup(at)
    for i, name in enumerate(names):
        try:
            below = open_folder(at, name, make=True)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise Refused("Conflict", f"~/{shown('/'.join(names[: i + 1]))} is no folder: move it away") from error
        finally:
            os.close(at)
        at = below
    return at


def pieces(fd, beat):
    while piece := os.read(fd, PIECE):
        beat()
        yield piece


def hash_at(folder, name, beat):
    """None: nothing is there."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EACCES, errno.ENXIO, errno.EPERM, errno.ENODEV):
            return OTHER
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return OTHER
        digest = hashlib.sha256()
        for piece in pieces(fd, beat):
            digest.update(piece)
        return digest.hexdigest()
    finally:
        os.close(fd)


def look(folder, name):
    """None: nothing is there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def exists(folder, name):
    return look(folder, name) is not None


def same_file(at, name, other_at, other):
    one, two = look(at, name), look(other_at, other)
    return one is not None and two is not None and os.path.samestat(one, two)


def remove_if_there(folder, name):
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass


def link(at, name, folder, new):
    """The same file under another name; False where that is taken."""
    try:
        os.link(name, new, src_dir_fd=at, dst_dir_fd=folder, follow_symlinks=False)
        return True
    except FileExistsError:
        return False


def named(name, label, turn):
    """«plot (new 3).py»: in at most 255 bytes."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > 16:
        stem, dot, suffix = name, "", ""
    tail = f" ({label}{'' if turn == 1 else f', {turn}'}){dot}{suffix}"
    room = 255 - len(os.fsencode(tail))
    return os.fsdecode(os.fsencode(stem)[:room].decode("utf-8", "ignore").encode()) + tail


# --- What was given ---


class Manifest:
    """path → [given, coming], each a hash or None."""

    def __init__(self, area):
        self.area = area
        self.files = {}
        self.damaged = not self.read()

    def read(self):
        try:
            fd = os.open("manifest", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.area)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return False
            return self.take(file.read(MANIFEST_MAX + 1))

    def take(self, text):
        try:
            files = json.loads(text)["files"]
            good = {path: [as_hash(pair[0]), as_hash(pair[1])] for path, pair in files.items()}
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return False
        self.files = good
        return True

    def write(self):
        write_file(self.area, "manifest.new", [json.dumps({"files": self.files}).encode()], 0o644)
        os.rename("manifest.new", "manifest", src_dir_fd=self.area, dst_dir_fd=self.area)
        os.fsync(self.area)

    def knows(self, path, content):
        return content is not None and content != OTHER and content in self.files.get(path, ())


def as_hash(value):
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def write_file(folder, name, content, mode):
    try:
        remove_if_there(folder, name)
    except (IsADirectoryError, PermissionError) as error:
        raise Refused("Conflict", f"~/.open-hydra/courses holds something else than files ({name}): move it away") from error
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
    with open(fd, "wb") as file:
        for piece in content:
            file.write(piece)
        file.flush()
        os.fsync(fd)


# --- One course in one home ---


class Work:
    def __init__(self, course, name, version, home):
        self.name = name
        self.started = self.beaten = time.monotonic()
        self.label = label_of(version)
        self.counts = dict.fromkeys(("new", "updated", "both", "yours", "same", "deleted", "withdrawn", "skipped"), 0)
        self.files = []
        self.room = SHOWN_BYTES
        self.course = course
        self.area = own_folder(home, [".open-hydra", "courses", name])
        self.lock()
        self.begun = exists_below(home, ["courses", name])
        self.target = own_folder(home, ["courses", name])
        self.manifest = Manifest(self.area)
        self.upstream = {}
        self.places = {(): ()}

    def lock(self):
        try:
            self.lock_fd = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644, dir_fd=self.area)
            fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused("Conflict", "this course is being copied already") from error

    def beat(self):
        now = time.monotonic()
        if now - self.started > SECONDS:
            raise Refused("Timeout", f"it takes longer than {SECONDS} seconds; what has been copied stays, and the rest comes when you ask again")
        if now - self.beaten > HEARTBEAT:
            self.beaten = now
            os.write(1, b"\n")

    def note(self, what, path, beside=None):
        self.counts[what] += 1
        room = self.room - len(os.fsencode(path)) - len(os.fsencode(beside or ""))
        if what in ("same", "yours") or len(self.files) >= SHOWN or room < 0:
            return
        self.room = room
        self.files.append({"path": shown(path), "what": what} | ({"beside": shown(beside)} if beside else {}))

    # What there is

    def scan(self, parts=()):
        if len(parts) > DEPTH_MAX:
            raise Refused("Invalid", f"the course has folders more than {DEPTH_MAX} deep")
        folder = walk(self.course, parts)
        try:
            with os.scandir(folder) as entries:
                found = sorted((entry.name, entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)) for entry in entries)
            for name, is_folder, is_file in found:
                path = "/".join((*parts, name))
                content = hash_at(folder, name, self.beat) if is_file else None
                if content not in (None, OTHER):
                    self.upstream[path] = content
                elif not is_folder:
                    self.note("skipped", path)
        finally:
            os.close(folder)
        if parts and not found:
            self.upstream["/".join(parts)] = EMPTY
        for name, is_folder, _ in found:
            if is_folder:
                self.scan((*parts, name))

    def local(self, path):
        *parts, name = path.split("/")
        try:
            folder = walk(self.target, self.places.get(tuple(parts), parts))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                return None  # it gets a folder beside that
            raise
        try:
            return hash_at(folder, name, self.beat)
        finally:
            os.close(folder)

    def folder_for(self, parts):
        """Makes it; where the student has something else of that name, beside it."""
        at = os.dup(self.target)
        for i, part in enumerate(parts):
            for name in (self.places.get(tuple(parts[: i + 1]), (part,))[-1], *(named(part, self.label, turn) for turn in range(1, 100))):
                try:
                    below = open_folder(at, name, make=True)
                    break
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EEXIST):
                        raise
            else:
                raise Refused("Conflict", f"there is no free name beside {shown('/'.join(parts[: i + 1]))}")
            self.places[tuple(parts[: i + 1])] = (*self.places[tuple(parts[:i])], name)
            os.close(at)
            at = below
        return at

    # What is to be done

    def decide(self, path):
        content, here = self.upstream[path], self.local(path)
        given, coming = self.manifest.files.get(path, (None, None))
        if content == EMPTY:
            return None if given or here is not None else self.make_empty
        if here == content:
            self.manifest.files[path] = [content, None]
            return self.note("same", path)
        if here is None:
            return self.add if given is None or content != given else self.note("deleted", path)
        if self.manifest.knows(path, here):
            self.manifest.files[path] = [here, coming]  # of an interruption, it may be what was coming
            return self.update
        if content == given and coming is None:
            return self.note("yours", path)
        return self.keep_both

    def plan(self):
        todo = []
        for path, content in self.upstream.items():
            action = self.decide(path)
            if action:
                given = self.manifest.files.get(path, [None, None])[0]
                self.manifest.files[path] = [given, content]
                todo.append((path, action))
        return todo

    def fetch(self, path):
        """Writes it to `new`."""
        *parts, name = path.split("/")
        digest = hashlib.sha256()
        folder = walk(self.course, parts)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)

        def content():
            for piece in pieces(fd, self.beat):
                digest.update(piece)
                yield piece

        try:
            write_file(self.area, "new", content(), 0o755 if os.fstat(fd).st_mode & 0o111 else 0o644)
        finally:
            os.close(fd)
        if digest.hexdigest() != self.upstream[path]:
            raise FileNotFoundError(errno.ENOENT, "it was replaced meanwhile")

    def make_empty(self, path):
        os.close(self.folder_for(path.split("/")))

    def add(self, path):
        self.fetch(path)
        *parts, name = path.split("/")
        folder = self.folder_for(parts)
        try:
            if link(self.area, "new", folder, name):
                self.note("new", path)
            else:
                self.put_beside(folder, path)
        finally:
            os.close(folder)

    def update(self, path):
        self.fetch(path)
        *parts, name = path.split("/")
        folder = self.folder_for(parts)
        was = former(path)
        try:
            os.rename(name, was, src_dir_fd=folder, dst_dir_fd=self.area)
            if not self.manifest.knows(path, hash_at(self.area, was, self.beat)):  # saved just now
                self.put_back(was, folder, name)
                self.put_beside(folder, path)
            elif link(self.area, "new", folder, name):
                self.note("updated", path)
            else:
                self.put_beside(folder, path)
        finally:
            os.close(folder)

    def keep_both(self, path):
        self.fetch(path)
        folder = self.folder_for(path.split("/")[:-1])
        try:
            self.put_beside(folder, path)
        finally:
            os.close(folder)

    def put_beside(self, folder, path):
        *parts, name = path.split("/")
        for turn in range(1, 1000):
            beside = named(name, self.label, turn)
            if link(self.area, "new", folder, beside) or hash_at(folder, beside, self.beat) == self.upstream[path]:
                return self.note("both", path, "/".join((*self.places[tuple(parts)], beside)))
        raise Refused("Conflict", f"there is no free name beside {shown(path)}")

    def put_back(self, was, folder, name):
        """False where the name is taken again."""
        try:
            if not link(self.area, was, folder, name):
                return False
            os.unlink(was, dir_fd=self.area)
        except PermissionError:  # a folder
            os.rename(was, name, src_dir_fd=self.area, dst_dir_fd=folder)
        return True

    # What was replaced

    def settle(self):
        """What was moved away is the student's where its content is not one that was given."""
        paths = {former(path): path for path in self.manifest.files}
        for was in sorted(os.listdir(self.area)):
            if was.startswith("was-"):
                self.settle_one(was, paths.get(was, was))

    def settle_one(self, was, path):
        *parts, name = path.split("/")
        folder = self.folder_for(parts)
        try:
            known = self.manifest.knows(path, hash_at(self.area, was, self.beat))
            if (known and (exists(folder, name) or not self.begun)) or same_file(self.area, was, folder, name):
                os.unlink(was, dir_fd=self.area)
                return
            for new in (name, *(named(name, YOURS, turn) for turn in range(1, 1000))):
                if not exists(folder, new) and self.put_back(was, folder, new):
                    return
        finally:
            os.close(folder)

    # All of it

    def withdraw(self):
        for path in [path for path in self.manifest.files if path not in self.upstream]:
            if self.manifest.files[path][0] not in (None, EMPTY) and self.local(path) is not None:
                self.note("withdrawn", path)
            del self.manifest.files[path]

    def run(self):
        self.settle()
        if not self.begun:  # who removes the folder begins anew
            self.manifest.files = {}
        self.scan()
        todo = self.plan()
        self.manifest.write()
        try:
            for path, action in todo:
                action(path)
        finally:
            self.settle()
        for path, _ in todo:
            self.manifest.files[path] = [self.upstream[path], None]
        self.withdraw()
        self.manifest.write()
        remove_if_there(self.area, "new")

    def result(self):
        return {"folder": f"courses/{shown(self.name)}", "counts": self.counts, "files": self.files, "forgotten": self.manifest.damaged}


def former(path):
    return "was-" + hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def chinese():
    return any(os.environ.get(key, "").startswith("zh") for key in ("LC_ALL", "LANG"))


YOURS = "您的" if chinese() else "yours"


def label_of(version):
    return f"{'新版' if chinese() else 'new'} {version or time.strftime('%Y-%m-%d')}"


def shown(path):
    return os.fsencode(path).decode("utf-8", "replace")


def exists_below(root, parts):
    try:
        os.close(walk(root, parts))
        return True
    except OSError:
        return False


def open_course(name):
    courses = os.environ.get("OPENHYDRA_COURSES")
    if courses is None:
        raise Refused("Conflict", "the environment has no courses; one from before they could be copied has to be started anew")
    try:
        return os.open(f"{courses}/{name}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Refused("NotFound", "there is no course of that name here") from error


def explain(error):
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {"reason": "InsufficientStorage", "error": "your home is full: what has been copied stays, and the rest comes when you ask again"}
    if error.errno in (errno.ENOENT, errno.ESTALE):
        return {"reason": "Conflict", "error": "something was changed meanwhile: ask again"}
    what = f" ({shown(error.filename)})" if isinstance(error.filename, (str, bytes)) else ""
    return {"reason": "Internal", "error": f"{error.strerror}{what}"}


def work_on(name, version):
    work = None
    try:
        home = os.open(os.environ.get("HOME", "/"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        work = Work(open_course(name), name, version, home)
        work.run()
        return work.result()
    except Refused as refused:
        return {"reason": refused.reason, "error": str(refused)} | (work.result() if work else {})
    except OSError as error:
        return explain(error) | (work.result() if work else {})


def main():
    os.umask(0o022)
    os.write(1, json.dumps(work_on(*sys.argv[1:3])).encode() + b"\n")


if __name__ == "__main__":
    main()
