#!/usr/bin/env python3
"""Puts an administrator's extensions where VS Code has its own, so that every student has them.

  vsix.py EXTENSIONS FOLDER      FOLDER: *.vsix, and the list open-vsx (extensions/README.md)
"""
import io
import json
import os
import pathlib
import re
import sys
import urllib.request
import zipfile

OPEN_VSX = os.environ.get("OPEN_VSX_URL", "https://open-vsx.org").rstrip("/")

# VS Code's own limit of names; nothing else is a file name here.
IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def identity(archive):
    try:
        manifest = json.loads(archive.read("extension/package.json").decode("utf-8-sig"))
        name = f"{manifest['publisher']}.{manifest['name']}"
    except (KeyError, ValueError) as why:
        raise ValueError(f"no extension of VS Code ({why})") from None
    if not IDENTITY.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an extension")
    return name


def unpack(archive, folder):
    for entry in archive.infolist():
        if entry.is_dir() or not entry.filename.startswith("extension/"):
            continue
        path = pathlib.PurePosixPath(entry.filename).relative_to("extension")
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{entry.filename}: outside of the extension")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(entry))
        # Programs that an extension brings along.
        if entry.external_attr >> 16 & 0o111:
            target.chmod(0o755)


def listed(source):
    """The names of the list, without comments."""
    file = pathlib.Path(source, "open-vsx")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [name for name in (line.split("#")[0].strip() for line in lines) if name]


def fetch(name):
    """An extension of the registry: what it says about it names the file."""
    identifier, _, version = name.partition("@")
    publisher, _, short = identifier.partition(".")
    if not IDENTITY.fullmatch(identifier) or not short:
        raise ValueError("not PUBLISHER.NAME or PUBLISHER.NAME@VERSION")
    with urllib.request.urlopen(f"{OPEN_VSX}/api/{publisher}/{short}/{version or 'latest'}", timeout=60) as answer:
        about = json.load(answer)
    with urllib.request.urlopen(about["files"]["download"], timeout=600) as answer:
        return io.BytesIO(answer.read())


def add(extensions, name, content):
    try:
        with zipfile.ZipFile(content()) as archive:
            folder = pathlib.Path(extensions, identity(archive))
            if folder.exists():
                raise ValueError(f"there is a {folder.name} already")
            unpack(archive, folder)
    except (ValueError, KeyError, zipfile.BadZipFile, OSError) as why:
        sys.exit(f"{name}: {why}")
    print(f"{name}: {folder.name}")


def main(extensions, source):
    for file in sorted(pathlib.Path(source).glob("*.vsix")):
        add(extensions, file.name, lambda file=file: file)
    for name in listed(source):
        add(extensions, name, lambda name=name: fetch(name))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
