"""Contents that are fetched: from a folder, a git repository and an address; what is allowed, what is refused, and what becomes of it later."""
import hashlib
import os
import pathlib
import shutil
import tempfile

import pytest

from support.answers import fresh_name, is_status
from support.instance import Instance, wait_until
from support.site import Site, git
from support.uploads import content, curl, zipped

MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def material():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="oh-material-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def school(site, material):
    config = {"contentSources": [str(material), f"{site.base}/files", f"{site.base}/git/"], "contentAuthority": site.authority, "datasetMaxSize": 20 << 20}
    with Instance(config) as instance:
        yield instance


def make(school, name, kind="datasets", **source):
    answer = school.admin().post(kind, json={"metadata": {"name": name}, "spec": {"source": source}})
    assert answer.status_code == 201, answer.text


def state(school, name, kind="datasets"):
    return school.admin().get(f"{kind}/{name}").json()["status"]


def fetched(school, name, phase="Ready", kind="datasets", of=""):
    def check():
        source = state(school, name, kind).get("source", {})
        return source if source.get("phase") == phase and of in source.get("of", "") else None
    try:
        return wait_until(check, 60, what=f"{name} {phase}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {state(school, name, kind)} {school.output()[-2000:]}") from None


def again(school, name, **source):
    answer = school.admin().patch(f"datasets/{name}", json={"spec": {"source": source}}, headers=MERGE)
    assert answer.status_code == 200, answer.text


def test_a_folder_of_the_server(school, material):
    name, folder = fresh_name("folder"), material / "课程 1"
    (folder / "data").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "data/b.txt").write_text("two")
    make(school, name, type="Folder", folder={"path": str(folder)})
    fetched(school, name)
    assert content(school, name) == {"a.txt": "one", "data/b.txt": "two"}
    status = state(school, name)
    assert status["phase"] == "Ready" and status["version"] == 1 and status["files"] == 2
    # Not by itself, but when asked.
    (folder / "a.txt").write_text("three")
    again(school, name, again="1")
    fetched(school, name, of='"again":"1"')
    assert content(school, name)["a.txt"] == "three" and state(school, name)["version"] == 2
    # What is fetched is not sent as well.
    is_status(school.admin().post(f"datasets/{name}/upload", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "1"}), 409, "Conflict", "is fetched")
    again(school, name, type="Upload")
    path = folder / "up.txt"
    path.write_text("sent")
    assert curl(school, f"datasets/{name}", f"file=@{path}", method="PUT")[0] == 200


def test_folders_that_are_refused(school, material, site):
    outside = pathlib.Path(tempfile.mkdtemp(prefix="oh-outside-", dir="/tmp"))
    try:
        outside.chmod(0o755)
        (outside / "secret").write_text("secret")
        (material / "link").symlink_to(outside)
        (material / "inside").mkdir()
        (material / "inside/link").symlink_to(outside / "secret")
        for path, says in [(str(outside), "contentSources"), (f"{material}/../{outside.name}", "without dots"), (f"{material}/link", "open"),
                           (f"{material}/nowhere", "open"), (f"{material}x", "contentSources"), ("relative", "absolute"), (f"{material}/inside", "link")]:
            name = fresh_name("refused")
            make(school, name, type="Folder", folder={"path": path})
            assert says in fetched(school, name, "Failed")["message"], path
            assert not (school.data / "public-dataset" / name).exists()
            assert school.admin().delete(f"datasets/{name}").status_code == 200
    finally:
        shutil.rmtree(outside)


@pytest.mark.root
def test_a_folder_that_is_not_everybodys(school, material):
    """It is read by nobody, not by root."""
    name, folder = fresh_name("private"), material / "private"
    folder.mkdir(mode=0o700)
    (folder / "a.txt").write_text("one")
    make(school, name, type="Folder", folder={"path": str(folder)})
    assert "Permission denied" in fetched(school, name, "Failed")["message"]


def test_an_archive_by_https(school, site):
    name, data = fresh_name("archive"), zipped(**{"a.txt": "one", "说明.md": "文字"})
    (site.folder / "files/files").mkdir(exist_ok=True)
    (site.folder / "files/files/words.zip").write_bytes(data)
    make(school, name, type="Archive", archive={"url": f"{site.base}/files/words.zip?x=1", "sha256": hashlib.sha256(data).hexdigest()})
    fetched(school, name)
    assert content(school, name) == {"a.txt": "one", "说明.md": "文字"}
    assert state(school, name)["checksum"] == hashlib.sha256(data).hexdigest() and state(school, name)["fileName"] == "words.zip"


def test_archives_that_are_refused(school, site):
    files = site.folder / "files/files"
    files.mkdir(exist_ok=True)
    (files / "good.zip").write_bytes(zipped(a="1"))
    (files / "large.bin").write_bytes(os.urandom(21 << 20))
    (files / "bad.zip").write_text("no zip")
    site.redirects["/files/elsewhere.zip"] = f"{site.base}/files/good.zip"
    base = f"{site.base}/files"
    for url, says, more in [(f"{base}/nowhere.zip", "404", {}), (f"{base}/elsewhere.zip", "redirect", {}), (f"{base}/large.bin", "", {}), (f"{base}/bad.zip", "", {}),
                            (f"{base}/good.zip", "sha256", {"sha256": "0" * 64}), (f"{site.base}/git2/x.zip", "contentSources", {}),
                            (f"{base}/../git/x.zip", "address", {}), (f"http://localhost:{site.port}/files/good.zip", "address", {}),
                            ("file:///etc/passwd", "address", {}), (f"{base}/a%2e%2e/x.zip", "address", {}), (f"https://localhost:{site.port}@evil/files/x", "address", {}),
                            (f"https://127.0.0.1:{site.port}/files/good.zip", "contentSources", {})]:
        name = fresh_name("refused")
        make(school, name, type="Archive", archive={"url": url, **more})
        message = fetched(school, name, "Failed")["message"]
        assert says in message, (url, message)
        assert not (school.data / "public-dataset" / name).exists()
        assert school.admin().delete(f"datasets/{name}").status_code == 200


def test_one_that_is_cut_is_fetched_again(school, site):
    name, files = fresh_name("cut"), site.folder / "files/files"
    files.mkdir(exist_ok=True)
    (files / "cut.zip").write_bytes(zipped(**{"a.txt": "x" * 100000}))
    site.cut = 50
    try:
        make(school, name, type="Archive", archive={"url": f"{site.base}/files/cut.zip"})
        fetched(school, name, "Failed")
    finally:
        site.cut = None
    again(school, name, again="1")
    fetched(school, name, of='"again":"1"')
    assert content(school, name)["a.txt"] == "x" * 100000


def test_a_repository(school, site):
    name, work = fresh_name("repo"), site.repository("lesson")
    (work / "a.py").write_text("one")
    (work / "数据").mkdir()
    (work / "数据/b.csv").write_text("1")
    first = site.push(work)
    make(school, name, type="Git", git={"url": f"{site.base}/git/lesson.git"})
    assert fetched(school, name)["commit"] == first
    assert content(school, name) == {"a.py": "one", "数据/b.csv": "1"}
    (work / "a.py").write_text("two")
    git(work, "checkout", "-q", "-b", "next/one")
    second = site.push(work)
    again(school, name, git={"ref": "next/one"})
    assert fetched(school, name, of="next/one")["commit"] == second
    assert content(school, name)["a.py"] == "two"


def test_repositories_that_would_run_something(school, site):
    """Hooks, filters, submodules and large files: nothing of them is done."""
    name, work = fresh_name("hostile"), site.repository("hostile")
    (work / ".gitattributes").write_text("*.txt filter=evil\n*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (work / "a.txt").write_text("as it is")
    (work / "big.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (work / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = x\n\turl = {site.folder}/git/lesson.git\n')
    site.push(work)
    hook = site.folder / "git/hostile.git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {site.folder}/pwned\n")
    hook.chmod(0o755)
    make(school, name, type="Git", git={"url": f"{site.base}/git/hostile.git"})
    fetched(school, name)
    assert content(school, name)["a.txt"] == "as it is" and "git-lfs" in content(school, name)["big.bin"]
    assert not (site.folder / "pwned").exists()
    for url, ref, says in [(f"{site.base}/git/none.git", None, ""), (f"{site.base}/git/hostile.git", "nowhere", "nowhere"), (f"{site.base}/git/hostile.git", "--upload-pack=x", "branch"),
                           (f"file://{site.folder}/git/hostile.git", None, "address"), (f"{site.folder}/git/hostile.git", None, "address"), ("ext::sh -c id", None, "address"),
                           ("ssh://localhost/x", None, "address")]:
        name = fresh_name("refused")
        make(school, name, type="Git", git={"url": url, **({"ref": ref} if ref else {})})
        message = fetched(school, name, "Failed")["message"]
        assert says in message, (url, ref, message)
        assert school.admin().delete(f"datasets/{name}").status_code == 200


def test_nothing_is_left_behind_and_all_goes_on_after_a_kill(school, site, material):
    name, folder = fresh_name("killed"), material / "many"
    folder.mkdir()
    for i in range(300):
        (folder / f"{i}.bin").write_bytes(os.urandom(20000))
    make(school, name, type="Folder", folder={"path": str(folder)})
    wait_until(lambda: state(school, name).get("source"), 30, what="its begin")
    os.kill(school.child("runner"), 9)
    fetched(school, name)
    assert state(school, name)["files"] == 300
    assert not (school.data / "fetch").exists() or not os.listdir(school.data / "fetch")


def test_who_may_say_what_came_of_it(school, material):
    name = fresh_name("status")
    make(school, name)
    answer = school.admin().patch(f"datasets/{name}/status", json={"status": {"source": {"phase": "Ready"}}}, headers=MERGE)
    is_status(answer, 403, "Forbidden", "by the server alone")
