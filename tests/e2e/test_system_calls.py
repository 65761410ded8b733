"""Which system calls an environment may make: what is refused in there, and that what students need works: debuggers among others."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from inside import PYTHON, build_calls, check_calls, delete_users, host_id, make_sandbox, source, start_hostile

pytestmark = pytest.mark.root
NAME = "calls-cleo"


@pytest.fixture(scope="module")
def student(hydra):
    make_sandbox(hydra)
    one, = start_hostile(hydra, NAME, deviceRam="512")
    yield one
    delete_users(hydra, NAME)


def home(student):
    return pathlib.Path(source(student.hydra, student.name, "/home/student"))


def test_what_is_refused_and_what_works(student):
    build_calls(home(student))
    check_calls(*(said(student, ["/home/student/calls", what]) for what in ("refused", "works")))


def test_namespaces_by_the_systems_own_tools(student):
    """As in a shell: neither alone nor with a user namespace."""
    for command in (["unshare", "-U"], ["unshare", "-Urmn"], ["unshare", "-m"], ["nsenter", "-t", "1", "-n"]):
        code = student.run(f"import subprocess; result = subprocess.run({[*command, 'true']}).returncode")
        assert code != 0, command


def test_pythons_processes_and_shared_memory(student):
    for method in ("fork", "spawn", "forkserver"):
        code = f"""
import multiprocessing as m
from multiprocessing import shared_memory
def work(name):
    one = shared_memory.SharedMemory(name=name)
    one.buf[7] = 42
    one.close()
if __name__ == '__main__':
    m.set_start_method('{method}')
    one = shared_memory.SharedMemory(create=True, size=1 << 20)
    with m.Pool(4) as pool:
        pool.map(work, [one.name] * 8)
    print(one.buf[7])
    one.close()
    one.unlink()
"""
        (home(student) / "work.py").write_text(code)
        assert student.run(f"import subprocess; result = subprocess.run(['{PYTHON}', '/home/student/work.py'], capture_output=True, text=True).stdout") == "42\n"


def bring(student, program):
    """A program of this machine with its libraries, as a student might bring it; how it is called in there."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"no {program} here")
    folder, own = home(student) / program, host_id(student.hydra, student.name) + 1000
    folder.mkdir()
    libraries = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout)
    for one in (path, *libraries):
        shutil.copy(one, folder)
    os.chown(folder, own, own)
    loader = next(one for one in libraries if "/ld-" in one)
    inside = f"/home/student/{program}"
    return [f"{inside}/{pathlib.Path(loader).name}", "--library-path", inside, f"{inside}/{program}"]


def said(student, command):
    return student.run(f"""
        import subprocess
        done = subprocess.run({command!r}, capture_output=True, text=True, timeout=60)
        result = done.stdout + done.stderr""")


def test_strace(student):
    text = said(student, [*bring(student, "strace"), "-f", "-e", "trace=execve,exit_group", "sh", "-c", "/bin/true; exit 0"])
    assert 'execve("/bin/true"' in text and text.count("exit_group(0)") == 2, text


def test_gdb(student):
    """Begins a program, stops it, reads a variable, and finds the same addresses in each run."""
    (home(student) / "small.c").write_text("int wanted = 4711; int main(void) { return wanted != 4711; }\n")
    subprocess.run(["cc", "-g", "-O0", "-static-pie", "-o", home(student) / "small", home(student) / "small.c"], check=True)
    gdb = bring(student, "gdb")
    # Debian's gdb does not start without its Python.
    version = re.search(r"libpython(\d\.\d+)", " ".join(p.name for p in (home(student) / "gdb").iterdir()))
    if version:
        shutil.copytree(f"/usr/lib/python{version[1]}", home(student) / f"gdb/lib/python{version[1]}",
                        ignore=shutil.ignore_patterns("__pycache__", "test", "dist-packages", "config-*"))
        gdb = ["env", "PYTHONHOME=/home/student/gdb", *gdb]
    command = [*gdb, "-nx", "-batch", "-ex", "break main", "-ex", "run", "-ex", "print wanted", "-ex", "print &wanted", "-ex", "continue",
               "/home/student/small"]
    text = said(student, command)
    assert "= 4711" in text and "exited normally" in text, text
    assert "Error disabling address space randomization" not in text, text
    assert re.findall(r"0x[0-9a-f]+ <wanted>", text) == re.findall(r"0x[0-9a-f]+ <wanted>", said(student, command))
