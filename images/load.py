#!/usr/bin/env python3
"""Loads an image archive through the Engine API, with progress, unless the engine has that image already.

  load.py SOCKET NAME ARCHIVE.tar ID
"""
import http.client
import json
import os
import socket
import sys
import time
import urllib.parse


class Engine(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("engine", timeout=600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, method, target, body=None, headers=None):
    engine = Engine(path)
    try:
        try:
            engine.request(method, target, body=body, headers=headers or {})
        except ConnectionError:
            pass  # it answered before it had read all: the answer says why
        answer = engine.getresponse()
        return answer.status, answer.read()
    finally:
        engine.close()


def image_of(path, name):
    status, body = ask(path, "GET", f"/images/{name}/json")
    return json.loads(body) if status == 200 else None


def same(image, wanted, layers):
    """Podman and Docker name an image by its configuration; Docker with containerd's store by its manifest."""
    return image is not None and (
        image["Id"].removeprefix("sha256:") == wanted or image.get("RootFS", {}).get("Layers") == layers
    )


def layers_of(archive):
    import tarfile

    with tarfile.open(archive) as file:
        manifest = json.load(file.extractfile("manifest.json"))
        config = json.load(file.extractfile(manifest[0]["Config"]))
    return config["rootfs"]["diff_ids"]


class Progress:
    """The archive as it is read, saying how far it got: on a terminal on one line, else every few seconds."""

    def __init__(self, file, name):
        self.file, self.name = file, name
        self.size = os.fstat(file.fileno()).st_size
        self.sent, self.start, self.said = 0, time.monotonic(), 0.0

    def read(self, count=-1):
        data = self.file.read(max(count, 1 << 20) if count != -1 else -1)
        self.sent += len(data)
        now = time.monotonic()
        if now - self.said > (0.2 if sys.stderr.isatty() else 5) or (data and self.sent == self.size):
            self.said = now
            self.say()
        return data

    def say(self, end=""):
        seconds = time.monotonic() - self.start
        text = f"image: loading {self.name}: {self.sent >> 20} of {self.size >> 20} MiB, {seconds:.1f} s"
        if self.sent == self.size and not end:
            text += "; the engine unpacks it"
        if sys.stderr.isatty():
            print(f"\r{text}\033[K", end=end, file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


def send(path, name, archive):
    with open(archive, "rb") as file:
        progress = Progress(file, name)
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(progress.size)}
        status, body = ask(path, "POST", "/images/load?quiet=1", progress, headers)
        progress.say("\n")
    return status, body


def load(path, name, archive, wanted):
    layers = layers_of(archive)
    before = image_of(path, name)
    if same(before, wanted, layers):
        return False
    try:
        status, body = send(path, name, archive)
    except ConnectionError as why:
        # Seen once with an engine that had just made its storage.
        print(f"image: the engine broke off ({why}): once more", file=sys.stderr)
        time.sleep(2)
        status, body = send(path, name, archive)
    text = body.decode(errors="replace").strip()
    if status != 200 or '"error"' in text:
        sys.exit(f"image: the engine refused {name}: {text[-500:]}")
    if not same(image_of(path, name), wanted, layers):
        sys.exit(f"image: the engine took {name}, but shows another one under that name")
    if before is not None:
        # The one it replaces has no name any more; where an environment still runs from it, the engine keeps it.
        ask(path, "DELETE", "/images/" + urllib.parse.quote(before["Id"], safe=""))
    return True


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    load(*sys.argv[1:])
