"""An administrator's extensions for VS Code: what is put into the image's folder, or listed there, is in it."""
import functools
import http.server
import io
import json
import os
import pathlib
import subprocess
import threading
import zipfile

import pytest

VSIX = pathlib.Path(__file__).parents[2] / "images/vscode/vsix.py"


def package(publisher="school", name="lesson", files=()):
    """A *.vsix, as VS Code's own tool makes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("extension.vsixmanifest", "<PackageManifest/>")
        archive.writestr("extension/package.json", json.dumps({"publisher": publisher, "name": name, "version": "1.0.0"}))
        for path, text in files:
            archive.writestr(path, text)
    return out.getvalue()


@pytest.fixture
def install(tmp_path):
    into, source = tmp_path / "into", tmp_path / "source"
    into.mkdir()
    source.mkdir()

    def run(files, code=0, **env):
        for name, content in files.items():
            (source / name).write_bytes(content)
        done = subprocess.run([VSIX, into, source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env})
        assert done.returncode == code, done.stdout
        return into if code == 0 else done.stdout
    return run


def test_files(install):
    program = zipfile.ZipInfo("extension/bin/tool")
    program.external_attr = 0o755 << 16
    into = install({"a.vsix": package(files=[("extension/out/main.js", "x"), (program, "#!/bin/sh\n")]),
                    "b.vsix": package(name="other"), "README.md": b"no extension"})
    assert {each.name for each in into.iterdir()} == {"school.lesson", "school.other"}
    assert (into / "school.lesson/out/main.js").read_text() == "x"
    assert os.access(into / "school.lesson/bin/tool", os.X_OK) and not os.access(into / "school.lesson/package.json", os.X_OK)
    assert not (into / "school.lesson/extension.vsixmanifest").exists()


def test_none(install):
    assert list(install({}).iterdir()) == []


@pytest.mark.parametrize("content,said", [
    (b"no zip", "a.vsix: File is not a zip file"),
    (package(name="../../etc"), "a.vsix: 'school.../../etc' is no name of an extension"),
    (package(files=[("extension/../../evil", "x")]), "extension/../../evil: outside of the extension"),
])
def test_what_is_no_extension(install, tmp_path, content, said):
    assert said in install({"a.vsix": content}, code=1)
    assert not list(tmp_path.glob("**/evil"))


def test_without_a_manifest(install):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "")
    assert "a.vsix: no extension of VS Code" in install({"a.vsix": out.getvalue()}, code=1)


def test_the_same_twice(install):
    assert "b.vsix: there is a school.lesson already" in install({"a.vsix": package(), "b.vsix": package()}, code=1)


@pytest.fixture
def registry(tmp_path):
    """As much of Open VSX as is asked."""
    files = tmp_path / "registry"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=files)) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        for version, content in (("latest", package(files=[("extension/new", "")])), ("1.0.0", package(files=[("extension/old", "")]))):
            (files / "api/school/lesson").mkdir(parents=True, exist_ok=True)
            (files / f"{version}.vsix").write_bytes(content)
            (files / f"api/school/lesson/{version}").write_text(json.dumps({"files": {"download": f"{url}/{version}.vsix"}}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield url
        server.shutdown()


@pytest.mark.parametrize("line,there", [("school.lesson", "new"), ("school.lesson@1.0.0  # the one of last year", "old")])
def test_a_list(install, registry, line, there):
    into = install({"open-vsx": f"# for all\n\n{line}\n".encode()}, OPEN_VSX_URL=registry, no_proxy="127.0.0.1")
    assert (into / "school.lesson" / there).exists()


@pytest.mark.parametrize("line", ["lesson", "school.nothing", "school/lesson", "../x.y"])
def test_a_list_with_what_is_not_to_be_had(install, registry, line):
    assert install({"open-vsx": line.encode()}, code=1, OPEN_VSX_URL=registry, no_proxy="127.0.0.1").startswith(f"{line}: ")
