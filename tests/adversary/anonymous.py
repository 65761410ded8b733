"""Attacks of somebody who shows no credential. They come from an address of their own, unless they sit in the class."""
import itertools
import json
import random
import socket
import time

from wire import GROUP, HOST, addressed, attack, request

ELSEWHERE = "127.0.0.2"
MANY = [f"127.0.{n // 250 + 3}.{n % 250 + 1}" for n in range(500)]
JSON = "Content-Type: application/json"


@attack(source=ELSEWHERE)
def unfinished_bodies(a):
    """Each connection announces 3 MB and sends all but the last bytes, then a byte a second."""
    body = b"{" + b" " * (64 * 1024)
    a.hold(400, request("POST", "/auth/login", [JSON], body, 3 * 1024 * 1024), drip=b" ")


@attack(source=ELSEWHERE)
def unfinished_bodies_api(a):
    body = b"{" + b" " * (256 * 1024)
    a.hold(200, request("POST", f"{GROUP}/devices", [JSON, "Authorization: Bearer nobody"], body, 3 * 1024 * 1024), drip=b" ")


@attack(source=ELSEWHERE)
def half_headers(a):
    a.hold(1500, b"GET / HTTP/1.1\r\nHost: " + HOST + b"\r\nX-A: ", drip=b"a")


@attack(source=ELSEWHERE)
def half_headers_of_an_environment(a):
    a.hold(1500, b"GET / HTTP/1.1\r\nHost: " + HOST + b"\r\nX-A: ", port=a.target.inside_port, drip=b"a")


@attack(source=ELSEWHERE)
def half_handshakes(a):
    a.hold(1500, b"\x16\x03\x01\x02\x00\x01\x00\x01", port=a.target.api)


@attack
def connections_from_many_addresses(a):
    a.hold(5000, b"GET /auth/session HTTP/1.1\r\nHost: ", sources=MANY)


@attack(source=ELSEWHERE)
def requests_that_are_not_read(a):
    """Many requests down each connection, and no answer taken."""
    data = request("GET", "/openapi/v2", ["Accept: application/json"]) * 50
    a.hold(300, data)


@attack(source=ELSEWHERE)
def query_parameters(a):
    many = "&".join(f"a{n}=1" for n in range(900))
    a.threads(8, lambda n: a.throw(request("GET", f"/version?{many}")))


@attack(source=ELSEWHERE)
def ampersands(a):
    a.threads(8, lambda n: a.throw(request("GET", f"/apis?{'&' * 7000}")))


@attack(source=ELSEWHERE)
def large_headers(a):
    headers = [f"X-{n}: " + "v" * 6900 for n in range(4)]
    ports = itertools.cycle([a.target.dashboard, a.target.inside_port])
    a.threads(8, lambda n: a.throw(request("GET", "/version", headers), port=next(ports)))


@attack(source=ELSEWHERE)
def many_headers(a):
    headers = [f"X-{n}: 1" for n in range(1500)]
    a.threads(8, lambda n: a.throw(request("GET", "/version", headers)))


@attack(source=ELSEWHERE)
def control_characters(a):
    """What is logged of a request could steer a terminal, or fill a log."""
    bad = "\x1b]0;PWNED\x07\x1b[31m" + "A" * 3000
    data = request("POST", "/auth/login", [JSON, f"Referer: http://x/{bad}"], b"{" + b" " * 20000)
    odd = b"GET /\x1b[31m\x9b31m HTTP/1.1\r\nHost: \x1b]0;x\x07\r\n\r\n"
    a.threads(8, lambda n: a.throw(data if n % 2 else odd))


@attack(source=ELSEWHERE)
def nonsense(a):
    bytes_ = random.Random(a.target.seed)
    a.threads(8, lambda n: a.throw(bytes_.randbytes(bytes_.randrange(1, 2000)) + b"\r\n\r\n", port=random.choice([a.target.dashboard, a.target.api])))


@attack(source=ELSEWHERE)
def guesses_of_the_administrator(a):
    a.threads(4, lambda n: a.ask("POST", "/auth/login", {"username": random.choice(["admin", "headmaster", "carol"]), "password": f"wrong {n}"}))


@attack
def guesses_within_the_class(a):
    """By a header and by the form, from the address of those who work."""
    def guess(n):
        if n % 2:
            a.ask("GET", f"{GROUP}/devices", headers={"Open-Hydra-Auth": "Bearer Y2Fyb2w6d3Jvbmc="})
        else:
            a.ask("POST", "/auth/login", {"username": random.choice(["carol", "ben", f"unknown{n}"]), "password": "wrong"})
    a.threads(4, guess)


@attack
def guesses_from_many_addresses(a):
    def guess(n):
        body = json.dumps({"username": "carol", "password": "wrong"}).encode()
        a.throw(request("POST", "/auth/login", [JSON], body), source=random.choice(MANY), wait=5)
    a.threads(8, guess)


@attack(source=ELSEWHERE)
def documents(a):
    paths = itertools.cycle(["/openapi/v2", "/openapi/v3", f"/openapi/v3{GROUP}", "/apis", f"{GROUP}", "/version", "/", "/metrics"])
    a.threads(8, lambda n: a.ask("GET", next(paths)))


@attack(source=ELSEWHERE)
def set_up_codes(a):
    a.threads(8, lambda n: a.ask("POST", "/auth/setup", {"code": "A" * 32, "username": "evil", "password": "the evil one"}))


@attack(source=ELSEWHERE)
def unknown_cookies_of_environments(a):
    cookie = "; ".join(f"__Host-Http-open-hydra-env-{a.target.inside_port}={'A' * 90}" for _ in range(20))
    a.threads(8, lambda n: a.ask("GET", "/api", port=a.target.inside_port, headers={"Cookie": cookie}))


@attack(source=ELSEWHERE)
def vanished_peers(a):
    """Sockets that are thrown away with a reset as soon as the request is out."""
    def once(n):
        s = a.open(a.target.dashboard)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.sendall(addressed(request("GET", f"{GROUP}/devices?watch=1") if n % 2 else request("POST", "/auth/login", [JSON], b'{"username":"ben","password":"x"}'), s))
        time.sleep(0.002)
        s.close()
        a.count("reset")
    a.threads(8, once)
