"""What tests/gpu/run looks at on a machine with a real GPU, by the API as an administrator has it. Prints what it sees; ends with 1 at the first that is wrong."""
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

DASHBOARD = "http://127.0.0.1:30001"
API = DASHBOARD + "/apis/open-hydra-server.openhydra.io/v1/"
VERSION = "open-hydra-server.openhydra.io/v1"
token = None


def call(method, url, body=None):
    headers = {"Content-Type": "application/json", "Origin": DASHBOARD}
    if token:
        headers["Authorization"] = "Bearer " + token
    request = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def get(path):
    status, text = call("GET", API + path)
    return json.loads(text) if status == 200 else None


def until(what, check, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            print("seen:", what, json.dumps(found) if not isinstance(found, bool) else "")
            return found
        time.sleep(0.5)
    sys.exit("not seen: " + what)


def make(plural, kind, name, spec):
    status, text = call("POST", API + plural, {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec})
    if status not in (201, 409):
        sys.exit(f"{plural}/{name}: {text}")


def device(name):
    return (get("devices/" + name) or {}).get("status", {})


def says(name, text):
    status, log = call("GET", API + f"devices/{name}/log")
    return status == 200 and text in log


def condition(name, kind):
    return next((c for c in device(name).get("conditions", []) if c["type"] == kind), {})


def processes():
    out = subprocess.run(["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader"], capture_output=True, text=True)
    return [line for line in out.stdout.splitlines() if line.strip()]


def main():
    global token
    code = re.search(r"code=([A-Za-z0-9_-]+)", open(sys.argv[1]).read()).group(1)
    call("POST", DASHBOARD + "/auth/setup", {"code": code, "username": "boss", "password": "a-long-password"})
    token = json.loads(call("POST", DASHBOARD + "/auth/login", {"username": "boss", "password": "a-long-password", "bearer": True})[1])["token"]
    host = until("the host's GPUs", lambda: next((h["status"] for h in get("hosts")["items"] if h.get("status", {}).get("gpus")), None))
    whole = host["gpus"][0]["memoryBytes"] >> 20
    for name, hold in (("small", "256"), ("large", str(whole * 6 // 10))):
        make("sandboxes", "Sandbox", name, {"cpuImageName": "localhost/gpu:latest", "command": ["/bin/both", hold, "smi"], "readinessPath": "/",
                                            "socket": "/run/open-hydra/environment.sock"})
    for user in ("ada", "bob", "cleo"):
        make("openhydrausers", "OpenHydraUser", user, {"role": 2, "password": "a-long-password"})
    make("devices", "Device", "ada", {"openHydraUsername": "ada", "sandboxName": "small", "deviceGpu": 1})
    until("ada runs", lambda: device("ada").get("phase") == "Running")
    until("it computes, as its own user", lambda: says("ada", "probe: holds 256 MiB") and says("ada", "1 GPUs as user 1000"))
    until("nvidia-smi works inside", lambda: says("ada", "GPU 0:"))
    until("what it holds", lambda: [g for g in device("ada")["gpus"] if g.get("memoryUsedBytes", 0) > 256 << 20])
    until("within its share", lambda: condition("ada", "GPUMemoryWithinShare").get("status") == "True")
    make("devices", "Device", "bob", {"openHydraUsername": "bob", "sandboxName": "large", "deviceGpu": 1})
    until("bob runs on the second unit", lambda: device("bob").get("phase") == "Running" and [g["id"] for g in device("bob")["gpus"]])
    if len(host["gpus"]) == 1:
        until("more than its share is said", lambda: condition("bob", "GPUMemoryWithinShare").get("status") == "False", 120)
    if len(host["gpus"]) == 1:
        make("devices", "Device", "cleo", {"openHydraUsername": "cleo", "sandboxName": "small", "deviceGpu": 1})
        until("cleo waits", lambda: device("cleo").get("reason") == "WaitingForGPU" and device("cleo").get("message"))
        call("DELETE", API + "devices/ada")
        until("cleo gets ada's", lambda: device("cleo").get("phase") == "Running")
    for user in ("ada", "bob", "cleo"):
        call("DELETE", API + "devices/" + user)
    until("an end frees all", lambda: not get("devices")["items"] and not processes(), 60)


main()
