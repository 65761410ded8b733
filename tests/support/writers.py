"""Clients that write, and know what has been acknowledged to them."""
import http.client
import random
import threading
import time

from support.instance import GROUP

USERS = f"{GROUP}/openhydrausers"
NO_ANSWER = (OSError, http.client.HTTPException)


class Writer(threading.Thread):
    """A client that creates, changes and deletes users of its own, and knows of each what has been acknowledged.
    `server.ask(method, path, body)` answers with status and object, or raises one of NO_ANSWER; a 503 leaves open what was done."""

    def __init__(self, server, number, stop):
        super().__init__(daemon=True)
        self.server, self.number, self.stop = server, number, stop
        self.random = random.Random(number)
        self.present = {}       # name → the text that is there
        self.revisions = set()  # of acknowledged creates and updates
        self.done = self.lost_replies = self.undone = self.made = 0
        self.failure = None
        self.sent = threading.Event()

    def run(self):
        try:
            while not self.stop.is_set():
                self.write()
        except BaseException as e:  # for the test's own thread
            self.failure = e

    def write(self):
        name = self.random.choice(sorted(self.present)) if self.present and self.random.random() < 0.6 else None
        if name is None:
            self.made += 1
            name = f"w{self.number}-{self.made}"
            self.attempt("POST", name, f"made {self.done}", USERS, 201)
        elif self.random.random() < 0.3:
            self.attempt("DELETE", name, None, f"{USERS}/{name}", 200)
        else:
            self.attempt("PUT", name, f"changed {self.done}", f"{USERS}/{name}", 200)

    def attempt(self, method, name, text, path, code):
        before = self.present.get(name)
        body = {"metadata": {"name": name}, "spec": {"role": 2, "description": text}} if text else None
        self.sent.set()
        try:
            status, answer = self.server.ask(method, path, body)
        except NO_ANSWER:
            return self.find_out(name, before, text)
        assert status in (code, 503), (method, name, status, answer)
        if status == 503:
            return self.find_out(name, before, text)
        if text:
            self.revisions.add(int(answer["metadata"]["resourceVersion"]))
        self.become(name, text)
        self.done += 1

    def become(self, name, text):
        if text is None:
            self.present.pop(name, None)
        else:
            self.present[name] = text

    def find_out(self, name, before, after):
        """There was no answer: either is right, but nothing else."""
        found = self.look(name)
        if found == before:
            # Whoever was to be answered has gone, and the server may still be at it.
            time.sleep(0.5)
            found = self.look(name)
        assert found in (before, after), f"{name}: {found!r}, neither {before!r} nor {after!r}"
        self.lost_replies += found == after and after != before
        self.undone += found == before
        self.become(name, found)

    def look(self, name):
        while True:
            try:
                status, answer = self.server.ask("GET", f"{USERS}/{name}")
            except NO_ANSWER:
                time.sleep(0.01)
                continue
            if status == 503:
                continue
            assert status in (200, 404), answer
            return answer["spec"]["description"] if status == 200 else None
