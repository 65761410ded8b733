"""What lives through a restart of the server and a reload of nginx."""
import threading
import time

from world import WebSocket, request


def test_restart_of_the_server_fails_no_request(world):
    cookie = {"Cookie": world.cookie("anna", "anna", 0)}
    ws = WebSocket(world.first, **cookie)
    assert ws.echo("before") == "before"
    stop, failures, done = threading.Event(), [], [0]

    def visit():
        while not stop.is_set():
            for port, path in ((world.first, "/"), (world.dashboard, "/apis/x")):
                a = request(port, path=path, headers=cookie if port == world.first else None)
                done[0] += 1
                if a.status != 200:
                    failures.append((port, a.status))

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(3):
        time.sleep(0.3)
        world.kill_stand()
        time.sleep(0.7)
        world.start_stand()
        world.endpoint("anna")
        assert ws.echo("during") == "during"
    time.sleep(0.3)
    stop.set()
    for t in threads:
        t.join(30)
    assert not failures, (len(failures), done[0], failures[:5], world.nginx_log()[-2000:])
    assert done[0] > 20
    assert ws.echo("after") == "after"
    ws.close()


def test_reload_drops_nothing(world):
    cookie = {"Cookie": world.cookie("anna", "anna", 0)}
    ws = WebSocket(world.first, **cookie)
    assert ws.echo("before") == "before"
    world.write_configuration()
    world.reload()
    assert ws.echo("after") == "after"
    assert request(world.first, headers=cookie).status == 200
    ws.close()


def test_server_away(world):
    cookie = {"Cookie": world.cookie("anna", "anna", 0)}
    world.kill_stand()
    for s in world.sockets.values():
        s.close()
    try:
        a = request(world.first, headers=cookie)
        assert a.status == 503 and a.headers["Retry-After"] == "3" and "服务暂时不可用" in a.body.decode()
        assert request(world.first, "POST", "/.open-hydra/open?ticket=x").status == 503
        a = request(world.dashboard, path="/apis/x")
        assert a.status == 503 and a.headers["Retry-After"] == "3"
        assert a.json()["reason"] == "ServiceUnavailable" and a.json()["code"] == 503
        assert request(world.dashboard, path="/devices").status == 200
    finally:
        world.sockets.update({name: world.listen(name) for name in world.sockets})
        world.start_stand()
        world.endpoint("anna")
        world.endpoint("ben")
    assert request(world.first, headers=cookie).status == 200


def test_who_waits_is_answered_when_the_server_ends(other_world):
    w = other_world()
    cookie = {"Cookie": w.cookie("anna", "anna", 0)}
    w.tell("forget", "uid-device-anna")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(request(w.first, headers=cookie).status)) for _ in range(5)]
    for t in threads:
        t.start()
    time.sleep(0.5)
    assert not answers
    w.stand.stdin.close()
    assert w.stand.wait(30) == 0
    for t in threads:
        t.join(30)
    assert answers == [503] * 5
