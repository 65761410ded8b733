"""Chromium, driven over its debugging pipe (Chrome DevTools Protocol, no port and no library)."""
import json
import os
import shutil
import subprocess
import tempfile
import threading

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="oh-chromium-")
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()

        def pipes():
            # The browser reads descriptor 3 and writes 4; neither of ours may be in the way.
            a, b = os.dup(to_browser), os.dup(from_browser)
            high = [os.dup2(fd, 60 + i) for i, fd in enumerate((a, b))]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        arguments = ["--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "--no-first-run",
                     "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-popup-blocking"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        self.process = subprocess.Popen([PROGRAM, *arguments, "about:blank"], preexec_fn=pipes, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.counter, self.answers, self.changed, self.ended = 0, {}, threading.Condition(), False
        self.events = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        rest = b""
        while chunk := os.read(self.into, 1 << 16):
            *messages, rest = (rest + chunk).split(b"\0")
            with self.changed:
                for m in map(json.loads, messages):
                    if "id" in m:
                        self.answers[m["id"]] = m
                    else:
                        self.events.append(m)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def call(self, method, session=None, **params):
        self.counter += 1
        number = self.counter
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self.out, json.dumps(message).encode() + b"\0")
        with self.changed:
            assert self.changed.wait_for(lambda: number in self.answers or self.ended, 60), method
            answer = self.answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait_loaded(self, session, loader):
        def found():
            return any(e["method"] == "Page.lifecycleEvent" and e.get("sessionId") == session and
                       e["params"]["loaderId"] == loader and e["params"]["name"] == "load" for e in self.events)
        with self.changed:
            assert self.changed.wait_for(found, 60), "no page"

    def tab(self, url="about:blank"):
        return Tab(self, url)

    def close(self):
        try:
            self.call("Browser.close")
        finally:
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            os.close(self.out)
            shutil.rmtree(self.profile, ignore_errors=True)


class Tab:
    def __init__(self, browser, url):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        if url != "about:blank":
            self.go(url)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def go(self, url):
        self.browser.wait_loaded(self.session, self.call("Page.navigate", url=url)["loaderId"])

    def run(self, script, gesture=False):
        """The value of an async function's body in the page."""
        r = self.call("Runtime.evaluate", expression=f"(async () => {{ {script} }})()", awaitPromise=True, returnByValue=True,
                      userGesture=gesture)
        if "exceptionDetails" in r:
            raise RuntimeError(r["exceptionDetails"].get("exception", {}).get("description", "exception"))
        return r["result"].get("value")

    def text(self):
        return self.run("return document.body.innerText")

    def url(self):
        """Asked of the browser: the page may be on its way to another."""
        return self.browser.call("Target.getTargetInfo", targetId=self.target)["targetInfo"]["url"]

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
