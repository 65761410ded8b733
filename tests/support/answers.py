"""What answers of the API have in common."""
import contextlib
import itertools
import json
import os
import queue
import re
import socket
import threading

import urllib3

numbers = itertools.count(1)


def fresh_name(stem="x"):
    """A DNS label that no other test of this run uses."""
    return f"{stem}-{os.getpid() % 1000}-{next(numbers)}"


def is_status(answer, code, reason, *texts, field=None):
    """The answer is a metav1.Status with that code and reason, its message holds the texts, a cause names the field."""
    assert answer.status_code == code, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"].startswith("application/json"), answer.headers
    body = answer.json()
    assert body["kind"] == "Status" and body["apiVersion"] == "v1" and body["status"] == "Failure", body
    assert body["code"] == code and body["reason"] == reason, body
    assert body["message"], body
    for text in texts:
        assert text in body["message"], body
    if field:
        causes = body["details"]["causes"]
        assert field in [cause.get("field") for cause in causes], causes
        assert all(cause["reason"] and cause["message"] for cause in causes), causes
    return body


def warnings(answer):
    """The texts of all Warning headers (requests joins them by commas), unquoted."""
    found = re.findall(r'299 - "((?:[^"\\]|\\.)*)"', answer.headers.get("Warning", ""))
    return [re.sub(r"\\(.)", r"\1", text) for text in found]


class Watch:
    """The events of a watch, as they come. An iteration over it ends with the stream."""

    def __init__(self, session, resource, headers=None, **params):
        params = {"watch": "true", **params}
        self.answer = session.get(resource, params=params, headers=headers, stream=True, timeout=(30, 600))
        assert self.answer.status_code == 200, self.answer.text
        self.queue = queue.Queue()
        self.seen = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        rest = b""
        try:
            # What is there now, and not a whole buffer of it.
            while data := self.answer.raw.read1(65536):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.queue.put(json.loads(line))
        except (OSError, urllib3.exceptions.HTTPError):
            pass  # closed, by us or by the server
        self.queue.put(None)

    def next(self, seconds=30):
        """The next event; None at the stream's end."""
        event = self.queue.get(timeout=seconds)
        self.seen.append(event)
        return event

    def until(self, check, seconds=30):
        """Reads on to the first event for which check(type, object) holds."""
        while True:
            try:
                event = self.next(seconds)
            except queue.Empty:
                raise AssertionError(f"no such event within {seconds} s; seen: {self.seen[-5:]}") from None
            assert event is not None, f"the watch has ended; seen: {self.seen[-5:]}"
            if check(event["type"], event["object"]):
                return event

    def until_name(self, name, kind=None, seconds=30):
        return self.until(lambda t, o: o["metadata"].get("name") == name and kind in (None, t), seconds)

    def close(self):
        # The reading thread holds the stream's lock: closing would wait for it. The plain socket's method, since TLS' own
        # forgets its keys, and the thread would read what is still coming as it is.
        with contextlib.suppress(OSError, AttributeError):
            socket.socket.shutdown(self.answer.raw._fp.fp.raw._sock, socket.SHUT_RDWR)
        self.thread.join(10)
        self.answer.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
