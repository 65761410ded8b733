#!/usr/bin/env python3
"""Images as the engine loads them (`docker load`), made of layers, without any engine.

  archive.py describe OUT.json NAME IMAGE.json LAYER.tar...   says in OUT.json what an image consists of
  archive.py pack OUT.tar IMAGE.json...                       one archive of several such images, each layer once

The layers lie beside OUT.json, each with its digest in LAYER.tar.digest. The same input gives the same bytes.
"""
import hashlib
import json
import os
import platform
import sys
import tarfile

# Debian 13's release. A file's date must not change an image's id. (images/layer.py knows it too.)
DATE = 1754697600
CREATED = "2025-08-09T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


# --- what an image consists of ---------------------------------------------------------------------------------


def digest_of(layer):
    with open(layer + ".digest", encoding="ascii") as file:
        return file.read().strip()


def describe(out, name, settings, layers):
    with open(settings, encoding="utf-8") as file:
        config = json.load(file)
    found = [
        {"file": os.path.basename(layer), "size": os.path.getsize(layer), "digest": digest_of(layer)} for layer in layers
    ]
    document = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": CREATED,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each['digest']}" for each in found]},
            # A layer's file is named NAME-KEY.layer.tar.
            "history": [{"created": CREATED, "created_by": f"images/{each['file'].rsplit('-', 1)[0]}"} for each in found],
        },
        sort_keys=True,
    )
    image = {"name": name, "id": hashlib.sha256(document.encode()).hexdigest(), "config": document, "layers": found}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(image, file, indent=1)


def read(path):
    """An image as `describe` wrote it, its layers with their paths."""
    with open(path, encoding="utf-8") as file:
        image = json.load(file)
    for layer in image["layers"]:
        layer["path"] = os.path.join(os.path.dirname(path), layer["file"])
    return image


# --- an archive of several -------------------------------------------------------------------------------------


class Archive:
    """The archive as a file to read from: its size is known before, and nothing of it lies on the disk."""

    def __init__(self, images):
        manifest = [
            {"Config": f"{each['id']}.json", "RepoTags": [each["name"]], "Layers": [f"{layer['digest']}.tar" for layer in each["layers"]]}
            for each in images
        ]
        layers = {layer["digest"]: layer for each in images for layer in each["layers"]}
        self.parts = [self.member("manifest.json", json.dumps(manifest).encode())]
        self.parts += [self.member(f"{each['id']}.json", each["config"].encode()) for each in images]
        self.parts += [self.member(f"{digest}.tar", layer["path"], layer["size"]) for digest, layer in layers.items()]
        self.parts.append((bytes(2 * tarfile.BLOCKSIZE), b"", 0))
        self.size = sum(len(head) + self.padded(size) for head, _, size in self.parts)
        self.chunks, self.left = self.each_chunk(), b""

    @staticmethod
    def padded(size):
        return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE

    @staticmethod
    def member(name, content, size=None):
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(content) if size is None else size, DATE
        return info.tobuf(tarfile.PAX_FORMAT), content, info.size

    def each_chunk(self):
        for head, content, size in self.parts:
            yield head
            if isinstance(content, str):
                with open(content, "rb") as file:
                    while chunk := file.read(1 << 20):
                        yield chunk
            else:
                yield content
            yield bytes(self.padded(size) - size)

    def read(self, count=-1):
        """As files do: at most `count` bytes (some, where it says none), nothing at the end."""
        while not self.left:
            chunk = next(self.chunks, None)
            if chunk is None:
                return b""
            self.left = memoryview(chunk)
        count = len(self.left) if count < 0 else count
        taken, self.left = self.left[:count], self.left[count:]
        return bytes(taken)


def pack(out, paths):
    archive = Archive([read(path) for path in paths])
    with open(out, "wb") as file:
        while chunk := archive.read():
            file.write(chunk)


def main(arguments):
    if len(arguments) >= 5 and arguments[0] == "describe":
        describe(arguments[1], arguments[2], arguments[3], arguments[4:])
    elif len(arguments) >= 3 and arguments[0] == "pack":
        pack(arguments[1], arguments[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
