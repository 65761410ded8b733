#!/usr/bin/env python3
"""Every kubectl there is against the API and a kind of the tests' own: kubectl.py SERVER.

SERVER speaks on a unix socket; kubectl wants TCP, so a relay stands between. Exit status 77 (skipped) without kubectl.
"""
import asyncio
import glob
import json
import os
import subprocess
import sys
import tempfile
import threading

MANIFEST = """apiVersion: test.example.io/v1
kind: Widget
metadata:
  name: w
spec:
  colour: red
  secret: hush-hush
"""


def programs():
    found = {}
    for folder in os.environ.get("PATH", "").split(":"):
        for path in glob.glob(folder + "/kubectl*"):
            home = os.path.dirname(os.path.realpath(path))
            for one in glob.glob(home + "/kubectl") + glob.glob(home + "/kubectl.1.*"):
                found[os.path.realpath(one)] = True
    return sorted(found)


class Relay:
    def __init__(self, socket):
        self.socket = socket
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self.run, args=(ready,), daemon=True).start()
        ready.wait()

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    async def accept(self, reader, writer):
        there_reader, there_writer = await asyncio.open_unix_connection(self.socket)

        async def copy(source, target):
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except OSError:
                pass
            target.close()

        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))


class Check:
    def __init__(self, program, port, home):
        self.command = [program, f"--server=http://127.0.0.1:{port}", f"--cache-dir={home}/cache"]
        self.env = {"HOME": home, "PATH": os.environ["PATH"], "KUBECONFIG": "/dev/null", "EDITOR": "sed -i s/red/green/"}
        self.home = home
        self.failed = []
        version = json.loads(subprocess.check_output([program, "version", "--client", "-o", "json"], env=self.env))["clientVersion"]
        self.version = int(version["major"]), int(version["minor"].rstrip("+"))

    def run(self, *args, stdin="", code=0, has=(), lacks=()):
        done = subprocess.run(self.command + list(args), input=stdin, env=self.env, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wrong = [f"exit status {done.returncode}"] if done.returncode != code else []
        wrong += [f"«{text}» is missing" for text in has if text not in done.stdout]
        wrong += [f"«{text}» is there" for text in lacks if text in done.stdout]
        if wrong:
            self.failed.append(" ".join(args))
            print(f"  kubectl {' '.join(args)}: {', '.join(wrong)}\n{done.stdout}")
        return done.stdout

    def everything(self):
        self.run("version", has=["Server Version"])
        self.run("api-resources", has=["widgets", "wd"], lacks=["endpoint"])
        self.run("get", "widgets", has=["No resources found"])
        self.run("explain", "widget.spec.size", has=["How large it is."])
        self.run("create", "-f", "-", "--dry-run=server", stdin=MANIFEST, has=["created (server dry run)"])
        self.run("apply", "-f", "-", stdin=MANIFEST, has=["widget.test.example.io/w created"])
        self.run("apply", "-f", "-", stdin=MANIFEST.replace("  secret: hush-hush\n", ""), has=["widget.test.example.io/w"])
        self.run("apply", "-f", "-", stdin=MANIFEST.replace("  secret: hush-hush\n", ""), has=["unchanged"])
        self.run("diff", "-f", "-", stdin=MANIFEST.replace("  secret: hush-hush\n", ""))
        self.run("diff", "-f", "-", stdin=MANIFEST.replace("red", "blue"), code=1, has=["+  colour: blue"], lacks=["hush"])
        self.run("create", "-f", "-", stdin=MANIFEST, code=1, has=["AlreadyExists", "already exists"])
        self.run("create", "-f", "-", stdin=MANIFEST.replace("name: w", "name: v").replace("colour", "color"), code=1,
                 has=["color"], lacks=["hush"])
        self.run("create", "-f", "-", stdin=MANIFEST.replace("name: w", "name: v").replace("colour: red", "size: 1000"),
                 code=1, has=["spec.size"])
        self.run("get", "wd", has=["NAME", "SIZE", "PHASE", "AGE", "w", "7"])
        self.run("get", "wd", "w", "-o", "yaml", has=["colour: red"], lacks=["hush"])
        self.run("get", "wd", "-o", "custom-columns=N:.metadata.name,S:.spec.size", has=["w     7"])
        self.run("get", "all-tests", has=["w"])
        self.run("get", "wd", "nobody", code=1, has=['(NotFound): widgets.test.example.io "nobody" not found'])
        self.run("describe", "widget", "w", has=["Colour:", "red"], lacks=["hush"])
        self.run("edit", "widget", "w", has=["edited"])
        self.run("get", "wd", "w", "-o", "jsonpath={.spec.colour}", has=["green"])
        self.run("label", "wd", "w", "x=y", has=["labeled"])
        self.run("annotate", "wd", "w", "note=1", has=["annotate"])
        self.run("get", "wd", "-l", "x=y", has=["w"])
        self.run("get", "wd", "-l", "x!=y", has=["No resources found"])
        self.run("patch", "wd", "w", "--type=merge", "-p", '{"spec":{"size":9}}', has=["patched"])
        self.run("patch", "wd", "w", "--type=json", "-p", "[]", code=1, has=["merge-patch"])
        if self.version >= (1, 24):  # what older ones have not
            self.run("patch", "wd", "w", "--type=merge", "--subresource=status", "-p", '{"status":{"phase":"Large"}}',
                     has=["patched"])
            self.run("wait", "wd/w", "--for=jsonpath={.status.phase}=Large", "--timeout=10s", has=["condition met"])
        self.run("replace", "-f", "-", stdin=MANIFEST, has=["replaced"])
        self.watch()
        self.run("delete", "wd", "w", "--dry-run=server", has=["deleted"])
        self.run("delete", "-f", "-", stdin=MANIFEST, has=["deleted"])
        self.held()
        self.run("create", "-f", "-", stdin=MANIFEST, has=["created"])
        self.run("delete", "wd", "--all", has=["deleted"])
        self.run("get", "wd", has=["No resources found"])

    def watch(self):
        done = []
        command = self.command + ["get", "wd", "-w", "--output-watch-events"]
        with subprocess.Popen(command, env=self.env, text=True, stdout=subprocess.PIPE) as watching:
            guard = threading.Timer(30, watching.kill)
            guard.start()
            for line in watching.stdout:
                done.append(line)
                if len(done) == 2:
                    self.run("label", "wd", "w", "seen=yes", has=["labeled"])
                if line.startswith("MODIFIED"):
                    break
            guard.cancel()
            watching.kill()
        text = "".join(done)
        if not text.startswith("EVENT") or "ADDED" not in text or "MODIFIED" not in text:
            self.failed.append("get -w")
            print(f"  kubectl get -w:\n{text}")

    def held(self):
        """A delete that waits until somebody takes the finalizer off."""
        self.run("create", "-f", "-", stdin=MANIFEST + "  hold: true\n", has=["created"])
        command = self.command + ["delete", "wd", "w", "--timeout=30s"]
        with subprocess.Popen(command, env=self.env, text=True, stdout=subprocess.PIPE) as deleting:
            # By its first line kubectl says that it has asked.
            line = deleting.stdout.readline()
            self.run("get", "wd", "w", "-o", "jsonpath={.metadata.deletionTimestamp}", has=["T"])
            self.run("create", "-f", "-", stdin=MANIFEST, code=1, has=["object is being deleted"])
            self.run("patch", "wd", "w", "--type=merge", "-p", '{"metadata":{"finalizers":null}}', has=["patched"])
            if "deleted" not in line or deleting.wait() != 0:
                self.failed.append("delete, held by a finalizer")
                print(f"  kubectl delete: {line}")


def main():
    found = programs()
    if not found:
        print("there is no kubectl")
        return 77
    failed = []
    with subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        relay = Relay(server.stdout.readline().strip())
        for program in found:
            with tempfile.TemporaryDirectory() as home:
                print(os.path.basename(program), flush=True)
                check = Check(program, relay.port, home)
                check.everything()
                failed += check.failed
        server.stdin.close()
        if server.wait() != 0:
            failed.append("the server's end")
    print("failed: " + ", ".join(failed) if failed else "all well")
    return 1 if failed else 0


sys.exit(main())
