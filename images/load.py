#!/usr/bin/env python3
"""Loads images through the Engine API, with progress: those that the engine does not have already, in one archive.

  load.py SOCKET IMAGE.json...     as archive.py describes them
"""
import http.client
import json
import socket
import sys
import time
import urllib.parse

import archive


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


def has(found, image):
    """Podman and Docker name an image by its configuration; Docker with containerd's store by its manifest."""
    if found is None or found["Id"].removeprefix("sha256:") == image["id"]:
        return found is not None
    layers = [f"sha256:{each['digest']}" for each in image["layers"]]
    settings = json.loads(image["config"])["config"]
    same_settings = all(found["Config"].get(key) == value for key, value in settings.items())
    return same_settings and found.get("RootFS", {}).get("Layers") == layers


class Progress:
    """An archive as it is read, saying how far it got: on a terminal on one line, else every few seconds."""

    def __init__(self, images):
        self.archive = archive.Archive(images)
        self.size = self.archive.size
        self.names = ", ".join(each["name"] for each in images)
        self.sent, self.start, self.said = 0, time.monotonic(), 0.0

    def read(self, count=-1):
        data = self.archive.read(max(count, 1 << 20))
        self.sent += len(data)
        now = time.monotonic()
        if now - self.said > (0.2 if sys.stderr.isatty() else 5) or (data and self.sent == self.size):
            self.said = now
            self.say()
        return data

    def say(self, end=""):
        seconds = time.monotonic() - self.start
        text = f"image: loading {self.names}: {self.sent >> 20} of {self.size >> 20} MiB, {seconds:.1f} s"
        if self.sent == self.size and not end:
            text += "; the engine unpacks it"
        if sys.stderr.isatty():
            print(f"\r{text}\033[K", end=end, file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


def send(path, images):
    progress = Progress(images)
    headers = {"Content-Type": "application/x-tar", "Content-Length": str(progress.size)}
    status, body = ask(path, "POST", "/images/load?quiet=1", progress, headers)
    progress.say("\n")
    return status, body


def load(path, images):
    before = {each["name"]: image_of(path, each["name"]) for each in images}
    images = [each for each in images if not has(before[each["name"]], each)]
    if not images:
        return
    try:
        status, body = send(path, images)
    except ConnectionError as why:
        # Seen once with an engine that had just made its storage.
        print(f"image: the engine broke off ({why}): once more", file=sys.stderr)
        time.sleep(2)
        status, body = send(path, images)
    text = body.decode(errors="replace").strip()
    if status != 200 or '"error"' in text:
        sys.exit(f"image: the engine refused {', '.join(each['name'] for each in images)}: {text[-500:]}")
    for image in images:
        name = image["name"]
        if not has(image_of(path, name), image):
            sys.exit(f"image: the engine took {name}, but shows another one under that name")
        if before[name] is not None:
            # The one it replaces has no name any more; where an environment still runs from it, the engine keeps it.
            ask(path, "DELETE", "/images/" + urllib.parse.quote(before[name]["Id"], safe=""))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    load(sys.argv[1], [archive.read(each) for each in sys.argv[2:]])
