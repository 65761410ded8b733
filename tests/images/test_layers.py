"""Layers: what stands on others holds what differs, and an archive of several images holds each layer once."""
import json
import os
import pathlib
import subprocess
import tarfile

import pytest

IMAGES = pathlib.Path(__file__).parents[2] / "images"
DATE = 1754697600


def tool(name, *arguments):
    return subprocess.run([IMAGES / name, *map(str, arguments)], check=True, capture_output=True, text=True).stdout.strip()


def layer(kind, out, *arguments):
    out.with_name(out.name + ".digest").write_text(tool("layer.py", kind, out, *arguments))
    return out


@pytest.fixture
def tree(tmp_path):
    """A root file system as `assemble` unpacks it, and the base layer that it came from."""
    source = tmp_path / "source"
    for folder in ("etc", "usr/bin", "usr/share/old/deep", "tmp", "var/log"):
        (source / folder).mkdir(parents=True)
    (source / "etc/a").write_text("a")
    (source / "etc/b").write_text("b")
    (source / "usr/bin/one").write_text("program")
    os.link(source / "usr/bin/one", source / "usr/bin/two")
    (source / "usr/bin/three").symlink_to("one")
    (source / "usr/share/old/deep/file").write_text("old")
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(source, ".")
    base = layer("base", tmp_path / "base-1.layer.tar", tmp_path / "root.tar")
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-x", "-f", base, "-C", tree, "--numeric-owner"], check=True)
    return tree, base


def members(path):
    with tarfile.open(path) as archive:
        return {each.name: each for each in archive.getmembers()}


def test_nothing_changed_is_nothing(tree, tmp_path):
    tree, base = tree
    assert members(layer("above", tmp_path / "x-1.layer.tar", tree, base)) == {}


def test_what_differs(tree, tmp_path):
    tree, base = tree
    (tree / "etc/a").write_text("A")  # the same size
    (tree / "etc/b").write_text("b")  # another date, the same content
    (tree / "usr/bin/one").chmod(0o755)  # with its second name
    (tree / "usr/new").mkdir()
    (tree / "usr/new/file").write_text("new")
    (tree / "usr/bin/three").unlink()
    (tree / "usr/bin/three").symlink_to("two")
    (tree / "tmp/left").write_text("left")
    (tree / "var/log/build").write_text("log")
    subprocess.run(["rm", "-r", tree / "usr/share/old"], check=True)
    found = members(layer("above", tmp_path / "x-1.layer.tar", tree, base))
    assert sorted(found) == ["etc", "etc/a", "usr", "usr/bin", "usr/bin/one", "usr/bin/three", "usr/bin/two", "usr/new", "usr/new/file",
                             "usr/share", "usr/share/.wh.old"]
    assert found["usr/bin/two"].islnk() and found["usr/bin/two"].linkname == "usr/bin/one"
    assert found["usr/bin/three"].linkname == "two"
    assert {each.mtime for each in found.values()} == {DATE}
    assert {each.uname for each in found.values()} == {""}


def test_a_third_layer_sees_through_both(tree, tmp_path):
    tree, base = tree
    subprocess.run(["rm", "-r", tree / "usr/share/old"], check=True)
    (tree / "etc/b").write_text("second")
    second = layer("above", tmp_path / "second-1.layer.tar", tree, base)
    os.utime(tree / "etc/b", (DATE, DATE))
    assert members(layer("above", tmp_path / "third-1.layer.tar", tree, base, second)) == {}
    (tree / "usr/share/old").mkdir()
    found = members(layer("above", tmp_path / "third-2.layer.tar", tree, base, second))
    assert sorted(found) == ["usr", "usr/share", "usr/share/old"]


def test_the_same_twice_is_the_same_bytes(tree, tmp_path):
    tree, base = tree
    (tree / "usr/new").write_text("new")
    first = layer("above", tmp_path / "first-1.layer.tar", tree, base).read_bytes()
    os.utime(tree / "usr/new", (1, 1))
    assert layer("above", tmp_path / "second-1.layer.tar", tree, base).read_bytes() == first


def test_an_archive_of_two_images_holds_what_they_share_once(tree, tmp_path):
    tree, base = tree
    (tree / "usr/new").write_text("new")
    above = layer("above", tmp_path / "above-1.layer.tar", tree, base)
    (tmp_path / "image.json").write_text(json.dumps({"Cmd": ["/bin/true"]}))
    tool("archive.py", "describe", tmp_path / "one.json", "localhost/one:latest", tmp_path / "image.json", base)
    tool("archive.py", "describe", tmp_path / "two.json", "localhost/two:latest", tmp_path / "image.json", base, above)
    tool("archive.py", "pack", tmp_path / "both.tar", tmp_path / "one.json", tmp_path / "two.json")
    with tarfile.open(tmp_path / "both.tar") as archive:
        names = archive.getnames()
        assert len(names) == len(set(names)) == 1 + 2 + 2
        one, two = json.load(archive.extractfile("manifest.json"))
        assert one["RepoTags"] == ["localhost/one:latest"] and one["Layers"] == two["Layers"][:1]
        config = json.load(archive.extractfile(two["Config"]))
        assert config["config"]["Cmd"] == ["/bin/true"]
        for name, source, digest in zip(two["Layers"], (base, above), config["rootfs"]["diff_ids"]):
            assert archive.extractfile(name).read() == source.read_bytes()
            assert digest == "sha256:" + name.removesuffix(".tar")
        assert tool_digest(above) == two["Layers"][1].removesuffix(".tar")


def tool_digest(path):
    return subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]
