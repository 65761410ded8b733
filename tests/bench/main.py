"""`make bench`: every figure beside what it is compared to, in one run. tests/bench/run calls this; see there."""
import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import cold  # noqa: E402
import school_class  # noqa: E402
import tcp  # noqa: E402
import unpacking  # noqa: E402
import uploading  # noqa: E402
from report import Report, conditions  # noqa: E402
from support.instance import GROUP, Instance, wait_until  # noqa: E402
from support.unix import Connection  # noqa: E402
from world import (ADMIN, DEVICES, PROGRAMS, USERS, Nginx, Server, device, hammer, in_turn, memory, memory_file,  # noqa: E402
                   one_free_port, raise_descriptors, user, wrk)

CONNECTIONS = (1, 16, 64)
OBJECTS = 1000


# ---- API reads --------------------------------------------------------------------------------------------------


def same_bytes(server):
    """nginx with what our server answers: one user, and the list of all."""
    one = json.dumps(server.ask("GET", f"{USERS}/user-500")[1], ensure_ascii=False, separators=(",", ":"))
    listed = json.dumps(server.ask("GET", USERS)[1], ensure_ascii=False, separators=(",", ":")).encode()
    return one, memory_file(listed), len(listed)


def upstream_of_api(one, listed):
    return f"""
        server {{
            listen unix:@HOME@/sock;
            location = {USERS} {{ alias {listed.name}; }}
            location {USERS}/ {{ return 200 '{one}'; }}
        }}"""


def tls_front(upstream, pki, port):
    return f"""
        upstream trivial {{ server unix:{upstream}; keepalive 64; }}
        server {{
            listen 127.0.0.1:{port} ssl http2;
            ssl_certificate {pki}/server.crt; ssl_certificate_key {pki}/server.key;
            ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:2m;
            location / {{ proxy_pass http://trivial; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        }}"""


def api(report, o):
    report.section("API reads: GET of one user, LIST of 1,000, against nginx serving the same bytes")
    with Server() as server:
        server.start(gateway=True)
        server.create(USERS, user, OBJECTS)
        one, listed, n = same_bytes(server)
        tls = one_free_port()
        token = {"Authorization": f"Bearer {server.admin_token()}"}
        print(f"  one user is {len(one.encode())} bytes, the list {n}")
        with listed, Nginx(upstream_of_api(one, listed)) as nginx:
            for path, what, goal in ((f"{USERS}/user-%N", "GET", 0.6), (USERS, "LIST", None)):
                for c in CONNECTIONS:
                    load = {"seconds": o.seconds, "connections": c, "modulo": OBJECTS}
                    pair = in_turn(o.rounds,
                                   lambda: hammer(server.socket, path, ADMIN, server.pids, **load),
                                   lambda: hammer(nginx.home / "sock", path, ADMIN, nginx.pids, **load))
                    report.compare(f"{what}, unix socket, {c} connections", pair, at_least=goal)
            with Nginx(tls_front(nginx.home / "sock", server.data / "pki", tls)) as front:
                api_tls(report, o, server, token, tls, front.pids + nginx.pids)


def api_tls(report, o, server, token, port, pids):
    """The server is behind our nginx, the trivial upstream behind another: on both sides a process of its own."""
    for path, what, goal in ((f"{USERS}/user-500", "GET", 0.9), (USERS, "LIST", None)):
        for c in CONNECTIONS:
            pair = in_turn(o.rounds,
                           lambda: wrk(server.api_port, path, token, c, o.seconds, server.gateway_pids),
                           lambda: wrk(port, path, token, c, o.seconds, pids))
            report.compare(f"{what}, TLS, {c} connections", pair, at_least=goal)


# ---- creates ----------------------------------------------------------------------------------------------------


def create_rate(clients, o):
    with Server() as server:
        server.start()
        body = json.dumps(user("user-%N"), ensure_ascii=False)
        return hammer(server.socket, USERS, {**ADMIN, "Content-Type": "application/json"}, server.pids, method="POST",
                      body=body, seconds=o.seconds, connections=clients, expect=201)


def bare_rate(per_transaction, size, o):
    out = subprocess.run([PROGRAMS / "bench_sqlite", "/tmp", str(o.seconds), str(per_transaction), str(size)],
                         capture_output=True, text=True, check=True, timeout=120)
    return {"rate": float(out.stdout), "server_us": 0}


def creates(report, o):
    report.section("Durable creates of users through the API (unix socket), against a bare SQLite loop with the same rows")
    with Server() as server:
        server.start()
        server.create(USERS, user, 1)
        size = len(json.dumps(server.ask("GET", f"{USERS}/user-0")[1], ensure_ascii=False, separators=(",", ":")).encode())
    for clients, per_transaction, goal in ((1, 1, None), (64, 64, 0.5)):
        pair = in_turn(o.rounds, lambda: create_rate(clients, o), lambda: bare_rate(per_transaction, size, o))
        cpu = pair.pop("ours_us")
        report.compare(f"{clients} clients; the loop: {per_transaction} to a transaction", pair, at_least=goal,
                       note=f"objects of {size} bytes; CPU of the server {cpu:.1f} µs each")
        pair.pop("reference_us", None)


# ---- the gateway ------------------------------------------------------------------------------------------------


def environment_http(socket):
    return f"""
        server {{ listen unix:@HOME@/auth; location / {{ return 200; }} }}
        server {{
            listen unix:{socket};
            location = /megabyte {{ alias @HOME@/megabyte; }}
            location / {{ return 200 '{{"started":"2026-01-01T00:00:00Z","connections":0,"kernels":0}}'; }}
        }}"""


def auth_request_http(auth, upstream, port):
    return f"""
        upstream auth {{ server unix:{auth}; keepalive 64; }}
        server {{
            listen 127.0.0.1:{port};
            client_max_body_size 0;
            location / {{
                auth_request /auth;
                proxy_pass http://unix:{upstream}:;
            }}
            location = /auth {{
                internal;
                proxy_pass http://auth;
                proxy_pass_request_body off;
                proxy_set_header Content-Length "";
                proxy_http_version 1.1;
                proxy_set_header Connection "";
            }}
        }}"""


def running_environment(server, socket):
    """A device that runs, as the runner would say, behind which there is nginx; a cookie that opens it."""
    assert server.ask("POST", USERS, user("student", password="student's password"))[0] == 201
    status, made = server.ask("POST", DEVICES, device("student"))
    assert status == 201, made
    runner = {"socket": server.runner_socket, "headers": {"Content-Type": "application/json"}}
    made["status"] |= {"phase": "Running", "reason": "Running", "message": "it answers"}
    status, made = server.ask("PUT", f"{DEVICES}/student/status", made, **runner)
    assert status == 200, made
    status, body = server.ask("PUT", f"{DEVICES}/student/endpoint",
                              {"deviceUid": made["metadata"]["uid"],
                               "endpoints": [{"name": "main", "address": f"unix:{socket}", "token": "t" * 32}]}, **runner)
    assert status == 200, body
    session, base = server.environment(server.login("student", "student's password"), "student")
    cookies = "; ".join(f"{c.name}={c.value}" for c in session.cookies)
    return made["status"]["port"], {"Cookie": cookies, "Origin": base, "User-Agent": session.headers["User-Agent"]}


class GatewayServer(Server):
    def admin(self):
        raise NotImplementedError

    def device(self, name):
        status, body = self.ask("GET", f"{DEVICES}/{name}")
        return body if status == 200 else None


def gateway(report, o):
    report.section("Requests to an environment through the gateway, against nginx auth_request + proxy_pass")
    with GatewayServer() as server:
        server.start(gateway=True)
        folder = server.runtime / "env/bench"
        folder.mkdir()
        folder.chmod(0o755)
        upstream = folder / "upstream.sock"
        plain = one_free_port()
        with Nginx(environment_http(upstream)) as environment, \
                Nginx(auth_request_http(environment.home / "auth", upstream, plain)) as nginx:
            os.chmod(upstream, 0o666)
            (environment.home / "megabyte").write_bytes(b"x" * 1000000)
            port, headers = running_environment(server, upstream)
            for what, path, goal, connections in (
                    ("small request", "/api/status", 0.9, CONNECTIONS),
                    ("1 MB body", "/megabyte", 0.9, (1, 16))):
                for c in connections:
                    load = {"seconds": o.seconds, "connections": c}
                    host = "127.0.0.1"
                    pair = in_turn(o.rounds,
                                   lambda: hammer((host, port), path, headers, server.gateway_pids, **load),
                                   lambda: hammer((host, plain), path, headers, nginx.pids, **load))
                    report.compare(f"{what}, {c} connections", pair, at_least=goal)


# ---- watches ----------------------------------------------------------------------------------------------------


def watch(report, o):
    report.section("Watch fan-out on the unix socket")
    hard = raise_descriptors()
    for count in (1000, 10000):
        if hard < count + 100:
            report.add(f"{count:,} watchers", None, "", note=f"not run: only {hard} descriptors are allowed here")
            continue
        with Server() as server:
            server.start()
            server.create(USERS, user, OBJECTS)
            watch_one(report, o, server, count)


def watch_one(report, o, server, count):
    revision = server.ask("GET", f"{USERS}?limit=1")[1]["metadata"]["resourceVersion"]
    before = memory(server.server.pid)[0]
    body = json.dumps(user("seen-%N"), ensure_ascii=False)
    process = subprocess.Popen([PROGRAMS / "watchers", server.socket, str(count), str(o.rounds),
                                f"{USERS}?watch=true&resourceVersion={revision}", USERS, body,
                                *(f"{k}: {v}" for k, v in ADMIN.items())], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    connected = int(process.stdout.readline().split()[1]) / 1e6
    idle = memory(server.server.pid)[0]
    process.stdin.write("\n")
    process.stdin.flush()
    rounds = [json.loads(process.stdout.readline()) for _ in range(o.rounds)]
    after = memory(server.server.pid)[0]
    process.stdin.write("\n")
    process.stdin.close()
    process.wait(60)
    note = f"RSS before {before:.1f} MiB; {connected:.2f} s to connect them all"
    if count == 10000:
        report.below(f"{count:,} watchers: RSS added, idle", idle - before, "MiB", 50, note)
        report.below(f"{count:,} watchers: RSS added, after {o.rounds} events", after - before, "MiB", 50)
    else:
        report.add(f"{count:,} watchers: RSS added, idle", idle - before, "MiB", note=note)
        report.add(f"{count:,} watchers: RSS added, after {o.rounds} events", after - before, "MiB")
    median = {k: statistics.median(r[k] for r in rounds) / 1000 for k in ("created_us", "first_us", "all_us")}
    report.add(f"{count:,} watchers: until all have the event", median["all_us"], "ms",
               note=f"the first after {median['first_us']:.1f} ms, the create's answer after {median['created_us']:.1f} ms")


# ---- memory and start-up ----------------------------------------------------------------------------------------


def memory_idle(report):
    with Instance() as instance:
        time.sleep(3)
        for name, limit in (("server", 10), ("runner", 6)):
            rss, pss = memory(instance.child(name))
            report.below(f"{name}, idle: RSS", rss, "MiB", limit, f"PSS {pss:.1f} MiB")


def memory_full(report, o):
    with Server() as server:
        server.start()
        server.create(USERS, user, 10000)
        made = server.create(DEVICES, device, 10000)
        rss, pss = memory(server.server.pid)
        report.below("10,000 users + 10,000 devices: RSS once created", rss, "MiB", 64, f"PSS {pss:.1f} MiB; {made['rate']:,.0f} devices/s")
        ready, answer = [], []
        for _ in range(max(3, o.rounds)):
            server.stop()
            server.start()
            ready.append(server.ready_seconds)
            answer.append(server.answer_seconds)
        rss, pss = memory(server.server.pid)
        report.below("the same after a restart: RSS", rss, "MiB", 64, f"PSS {pss:.1f} MiB")
        report.below("start with them: until the ready line", statistics.median(ready), "s", 0.1)
        report.add("start with them: until the first answer", statistics.median(answer), "s")
    empty(report, o)


def empty(report, o):
    with Server() as server:
        ready = []
        for _ in range(max(3, o.rounds)):
            server.start()
            ready.append(server.ready_seconds)
            server.stop()
        report.add("start without objects: until the ready line", statistics.median(ready), "s")


def memory_section(report, o):
    report.section("Memory and start-up")
    memory_idle(report)
    memory_full(report, o)


def cold_start(report, o):
    report.section("Cold start: until Jupyter answers")
    if os.geteuid() != 0:
        report.add("cold start", None, "", note="not run: a bare runc run needs root")
        return
    cold.run(report, max(3, o.starts))


def a_class(report, o):
    report.section("A class that comes at once, against podman run of the stock image for each")
    if os.geteuid() != 0:
        report.add("a class", None, "", note="not run: it needs root")
        return
    school_class.run(report, o.students)


def listens_on_tcp(report, o):
    report.section("An environment that listens on TCP, through the gateway, against the same on a unix socket")
    if os.geteuid() != 0:
        report.add("TCP", None, "", note="not run: it needs root")
        return
    tcp.run(report, o)


# ---- others, while somebody asks for much ----------------------------------------------------------------------------


def send_again_and_again(server, request, stop, answers):
    connection = Connection(server.socket)
    while not stop.is_set():
        connection.request(*request)
        answer = connection.getresponse()
        answer.read()
        answers.append(answer.status)


@contextlib.contextmanager
def under_load(server, request, clients):
    """The statuses of the answers, as they come."""
    stop, answers = threading.Event(), []
    threads = [threading.Thread(target=send_again_and_again, args=(server, request, stop, answers)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answers) > clients, what="answers under load")
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def large_body():
    """The largest that is read at all is a sandbox's: parsed, then mostly left out, as no schema knows it."""
    sandbox = {"apiVersion": "open-hydra-server.openhydra.io/v1", "kind": "Sandbox", "metadata": {"name": "large"},
               "spec": {"image": "localhost/large"}, "numbers": list(range(37000))}
    return json.dumps(sandbox)


def busy(report, o):
    report.section("GET /healthz by one client, while others ask for much")
    with Server() as server:
        server.start()
        server.create(USERS, user, 10000)
        body = large_body()
        loads = {
            f"2 send the largest bodies ({len(body) >> 10} KiB)": ("POST", f"{GROUP}/sandboxes?dryRun=All", body, {**ADMIN, "Content-Type": "application/json"}),
            "2 list 10,000 users as tables": ("GET", USERS, None, {**ADMIN, "Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}),
        }
        quiet = hammer(server.socket, "/healthz", ADMIN, seconds=o.seconds, connections=1)
        for what, request in loads.items():
            with under_load(server, request, 2) as answers:
                found = hammer(server.socket, "/healthz", ADMIN, seconds=2 * o.seconds, connections=1)
            report.below(f"p99 while {what}", found["p99_us"], "µs", 20000,
                         f"half of them within {found['p50_us']} µs; alone p99 {quiet['p99_us']} µs; "
                         f"{len(answers)} such answers ({', '.join(map(str, sorted(set(answers))))})")


def store(report, o):
    """The store by itself, without HTTP: what bench_store says."""
    report.section("The store alone, without HTTP, validation and answers (objects of 900 bytes)")
    out = subprocess.run([PROGRAMS / "bench_store", "/tmp", str(max(1, round(o.seconds)))], capture_output=True, text=True,
                         check=True, timeout=300)
    for line in out.stdout.splitlines():
        create = re.match(r"create, +(\d+) at once +(\d+) /s +bare SQLite +(\d+) /s", line)
        if create:
            ours, bare = float(create.group(2)), float(create.group(3))
            report.add(f"creates, {create.group(1)} at once; the loop: {create.group(1)} to a transaction", ours, "/s", bare,
                       ours / bare)
        else:
            print("  " + line)


def unpack(report, o):
    report.section("Unpacking into a folder, in the child that has given up all else, against bsdtar")
    with tempfile.TemporaryDirectory(prefix="oh-unpack-", dir="/dev/shm") as folder:
        unpacking.figures(report, o, pathlib.Path(folder))


def upload(report, o):
    report.section("An upload over TLS, against nginx writing the same body to a file")
    uploading.figures(report, o)


SECTIONS = {"cold-start": cold_start, "class": a_class, "api": api, "creates": creates, "gateway": gateway, "tcp": listens_on_tcp,
            "watch": watch,
            "busy": busy, "memory": memory_section, "store": store,
            "unpack": unpack, "upload": upload}


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run")
    parser.add_argument("--rounds", type=int, default=3, help="of each comparison (3)")
    parser.add_argument("--seconds", type=float, default=2, help="of each side of a round (2)")
    parser.add_argument("--starts", type=int, default=7, help="of each kind of container (7)")
    parser.add_argument("--students", type=int, default=30, help="of the class (30)")
    parser.add_argument("--output", default=str(PROGRAMS.parents[1] / "bench.md"), help="the table as Markdown")
    parser.add_argument("section", nargs="*", help=", ".join(SECTIONS) + " (all)")
    o = parser.parse_args()
    for name in o.section:
        if name not in SECTIONS:
            parser.error(f"{name}: there are {', '.join(SECTIONS)}")
    report, before = Report(), conditions()
    for name, value in before:
        print(f"{name}: {value}")
    print(f"\n  {'':<46} {'ours':>12} {'compared to':>12} {'ratio':>6}  {'goal':<22}")
    begin = time.monotonic()
    for name in o.section or SECTIONS:
        SECTIONS[name](report, o)
    after = " ".join(f"{x:.1f}" for x in os.getloadavg())
    missed = report.missed()
    print(f"\n{len(report.rows)} figures in {time.monotonic() - begin:.0f} s, {len(missed)} goals missed; load now {after}")
    for row in missed:
        print(f"  MISSED  {row['section']}: {row['what']}: {row['ours']} {row['ratio']} (goal {row['goal']})")
    pathlib.Path(o.output).write_text("".join(f"- {n}: {v}\n" for n, v in before) + f"- load after: {after}\n\n" + report.markdown())


if __name__ == "__main__":
    main()
