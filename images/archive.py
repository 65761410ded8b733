#!/usr/bin/env python3
"""Makes the archive that `docker load` reads (manifest.json, configuration, layers) without any engine.

  archive.py layer OUT.tar FOLDER PATH...     a layer from PATHs below FOLDER
  archive.py layer OUT.tar BASE.tar           a layer from a tar of a whole root file system
  archive.py image OUT.tar NAME IMAGE.json LAYER.tar...
                                              an image; prints its id

The same input gives the same bytes: names sorted, owners by number, one date.
"""
import hashlib
import io
import json
import os
import platform
import sys
import tarfile

# Debian 13's release. A file's date must not change an image's id. (images/assemble knows it too.)
DATE = 1754697600
CREATED = "2025-08-09T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def plain(info):
    """What a layer may say about a file: nothing of the machine that built it."""
    info.name = info.name.removeprefix("./").rstrip("/")
    info.mtime = DATE
    info.uname = info.gname = ""
    info.pax_headers = {}
    return info


def unwanted(name):
    # The engine mounts its own here, and an unprivileged one may not make device nodes.
    return name in ("", ".") or name.startswith(("dev/", "proc/", "sys/"))


def layer_from_tar(output, source):
    with tarfile.open(source) as base:
        for info in sorted(base.getmembers(), key=lambda each: each.name):
            data = base.extractfile(info) if info.isreg() else None
            info = plain(info)
            if not unwanted(info.name):
                output.addfile(info, data)


def layer_from_folder(output, folder, paths):
    names = set()
    for path in paths:
        # A layer says its parents' rights too.
        parts = path.split("/")
        names.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        for where, folders, files in os.walk(os.path.join(folder, path)):
            names.update(os.path.relpath(os.path.join(where, each), folder) for each in folders + files)
    for name in sorted(names):
        full = os.path.join(folder, name)
        info = output.gettarinfo(full, name)
        if info is None:
            continue
        # gettarinfo makes a second name of the same file a hard link to the first, in order: sorted, so the same
        # each time. Owners: the builder's root is the image's root.
        info = plain(info)
        if info.isreg():
            with open(full, "rb") as file:
                output.addfile(info, file)
        else:
            output.addfile(info)


def make_layer(out, source, paths):
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as output:
        if paths:
            layer_from_folder(output, source, paths)
        else:
            layer_from_tar(output, source)


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def make_image(out, name, description, layers):
    with open(description, encoding="utf-8") as file:
        config = json.load(file)
    digests = [digest_of(layer) for layer in layers]
    document = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": CREATED,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": CREATED, "created_by": "open-hydra images/build"} for _ in layers],
        },
        sort_keys=True,
    ).encode()
    identity = hashlib.sha256(document).hexdigest()
    manifest = json.dumps(
        [{"Config": f"{identity}.json", "RepoTags": [name], "Layers": [f"{each}.tar" for each in digests]}]
    ).encode()

    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as output:

        def add(member, size, data):
            info = tarfile.TarInfo(member)
            info.size, info.mtime = size, DATE
            output.addfile(info, data)

        add("manifest.json", len(manifest), io.BytesIO(manifest))
        add(f"{identity}.json", len(document), io.BytesIO(document))
        for layer, digest in zip(layers, digests):
            with open(layer, "rb") as file:
                add(f"{digest}.tar", os.path.getsize(layer), file)
    print(identity)


def main(arguments):
    if len(arguments) >= 3 and arguments[0] == "layer":
        make_layer(arguments[1], arguments[2], arguments[3:])
    elif len(arguments) >= 5 and arguments[0] == "image":
        make_image(arguments[1], arguments[2], arguments[3], arguments[4:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
