"""The program itself: its flags, its configuration, its subcommands, what it says when something is in the way."""
import os
import pathlib
import pty
import re
import socket
import subprocess
import tempfile

import pytest
import yaml

from support.answers import Watch, is_status
from support.instance import PROGRAM, ROOT, Client, Instance, kubectls, wait_until
from support.processes import children


def program(*args, input=None, env=None, timeout=60):
    return subprocess.run([str(PROGRAM), *args], input=input, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0", **(env or {})})


def check(tmp_path, text, *args):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return program("check-config", "--config", str(file), "--data", str(tmp_path / "data"), "--runtime", str(tmp_path / "run"), *args)


def test_help():
    for args in (("--help",), ("-h",), ("run", "--help")):
        out = program(*args)
        assert out.returncode == 0
        for word in ("run", "serve", "runner", "gateway", "kubeconfig", "passwd", "down", "check-config", "version",
                     "--config", "--data", "--dashboard-listen", "--environment-listen", "--api-listen", "--insecure"):
            assert word in out.stdout, word


def test_version():
    out = program("version")
    assert out.returncode == 0 and re.search(r"\d+\.\d+", out.stdout)


@pytest.mark.parametrize("args", [(), ("nonsense",), ("run", "--nonsense"), ("check-config", "--data"), ("check-config", "surplus", "x"),
                                  ("passwd",), ("passwd", "Not-a-Name")])
def test_wrong_use(args):
    out = program(*args)
    assert out.returncode == 2, (out.returncode, out.stdout, out.stderr)
    assert out.stderr and "Traceback" not in out.stderr


def test_check_config_prints_what_holds(tmp_path):
    out = check(tmp_path, "serverIP: 10.0.0.1, school.example\ndefaultCpuPerDevice: 1500\ndashboardListen: 127.0.0.1:4000\n",
                "--api-listen", "127.0.0.1:4001")
    assert out.returncode == 0, out.stderr
    assert "defaultCpuPerDevice: 1500" in out.stdout and "127.0.0.1:4000" in out.stdout and "127.0.0.1:4001" in out.stdout
    assert "http://10.0.0.1:4000" in out.stdout


@pytest.fixture
def reachable():
    """A folder whose parents anybody may go through: else the state would go elsewhere."""
    with tempfile.TemporaryDirectory(prefix="ohc-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def documented(name):
    """Keys and defaults as a README's table has them; a row may hold several."""
    rows = {}
    for line in (ROOT / name).read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if not line.startswith("| `") or len(cells) != 5:
            continue
        keys, defaults = re.findall(r"`([A-Za-z]+)`", cells[1]), re.split(r"[,/] ?", cells[3])
        rows.update({key: defaults[i] if len(defaults) == len(keys) else cells[3] for i, key in enumerate(keys)})
    return rows


@pytest.mark.parametrize("name", ["README.md", "docs/README-EN.md"])
def test_defaults_are_as_documented(reachable, name):
    out = check(reachable, "")
    holds = dict(line.split(": ", 1) for line in out.stdout.splitlines() if ": " in line and not line.startswith("#"))
    rows = documented(name)
    assert {"sessionSeconds", "certificateCheckSeconds", "defaultCpuPerDevice", "defaultRamPerDevice", "disableAuth"} <= set(rows)
    for key, default in rows.items():
        default = default.strip().replace("DATA", str(reachable / "data")).strip("`")
        if re.fullmatch(r"\d+|false|/.*", default):
            assert holds[key] == default, key
        elif default == "":
            assert key not in holds, key


@pytest.mark.parametrize("key", ["datasetBasePath", "courseBasePath", "jupyterLabHostBaseDir", "vscodeBasePath", "workspacePath"])
@pytest.mark.parametrize("where", ["/", "/etc", "DATA", "DATA/pki", "RUNTIME", "ABOVE", "LINK"])
def test_folders_that_environments_must_not_get(reachable, key, where):
    (reachable / "data").mkdir()
    (reachable / "link").symlink_to(reachable / "data")
    where = {"ABOVE": str(reachable), "LINK": str(reachable / "link" / "x")}.get(
        where, where.replace("DATA", str(reachable / "data")).replace("RUNTIME", str(reachable / "run")))
    out = check(reachable, f"{key}: {where}\n")
    assert out.returncode == 1 and f"{key}: {where}" in out.stderr, out.stderr


def test_an_unknown_key_is_a_warning_with_its_line(tmp_path):
    out = check(tmp_path, "disableAuth: false\nnonsense: 1\n")
    assert out.returncode == 0 and "config.yaml:2: unknown key nonsense" in out.stderr


def test_keys_without_a_meaning_here(tmp_path):
    out = check(tmp_path, "mysqlConfig:\n  address: x\npodAllocatableLimit: 5\n")
    assert out.returncode == 0
    assert "config.yaml:1: mysqlConfig has no effect" in out.stderr and "config.yaml:3: podAllocatableLimit" in out.stderr


@pytest.mark.parametrize("line,key", [("defaultCpuPerDevice: lots", "defaultCpuPerDevice"), ("defaultCpuPerDevice: -1", "defaultCpuPerDevice"),
                                      ("defaultRamPerDevice: 1", "defaultRamPerDevice"), ("disableAuth: perhaps", "disableAuth"),
                                      ("workspacePath: relative", "workspacePath"), ("dashboardListen: nowhere", "dashboardListen"),
                                      ("environmentListen: 127.0.0.1:5-4", "environmentListen"), ("apiListen: 127.0.0.1:99999", "apiListen"),
                                      ("serverIP: 'a b'", "serverIP"), ("pidsPerDevice: 3", "pidsPerDevice"), ("sessionSeconds: 1", "sessionSeconds")])
def test_wrong_values_are_errors_with_file_line_and_key(tmp_path, line, key):
    out = check(tmp_path, f"# a comment\n\n{line}\n")
    assert out.returncode == 1
    assert "config.yaml:3: " in out.stderr and key in out.stderr, out.stderr


@pytest.mark.parametrize("text,words", [("a: [", ()), ("- a\n", ("keys",)), ("insecure: true\ninsecure: true\n", ("twice", ":2:"))])
def test_broken_files(tmp_path, text, words):
    out = check(tmp_path, text)
    assert out.returncode == 1 and "config.yaml" in out.stderr
    for word in words:
        assert word in out.stderr, out.stderr


def test_a_configuration_that_is_not_there(tmp_path):
    out = program("check-config", "--config", str(tmp_path / "none.yaml"))
    assert out.returncode == 1 and "none.yaml" in out.stderr


@pytest.mark.parametrize("args,words", [
    (("--dashboard-listen", "127.0.0.1:31000"), "overlap"), (("--dashboard-listen", "127.0.0.1"), "--dashboard-listen"),
    (("--dashboard-listen", "example.com:80"), "--dashboard-listen"), (("--environment-listen", "127.0.0.1:0-70000"), "--environment-listen"),
    (("--dashboard-listen", "127.0.0.1:1-2"), "one port")])
def test_wrong_listeners(tmp_path, args, words):
    out = check(tmp_path, "", *args)
    assert out.returncode == 1 and words in out.stderr, out.stderr


def test_disable_auth_on_the_network_needs_insecure(tmp_path):
    out = check(tmp_path, "disableAuth: true\n", "--dashboard-listen", "0.0.0.0:30001")
    assert out.returncode == 1 and "--insecure" in out.stderr
    assert check(tmp_path, "disableAuth: true\n", "--dashboard-listen", "0.0.0.0:30001", "--insecure").returncode == 0


# ---- what is in the way -------------------------------------------------------------------------------------------

def fails(instance, *extra):
    out = subprocess.run(instance.command("run", *extra), capture_output=True, text=True, timeout=90, env=instance.env)
    assert out.returncode == 1, out.stdout + out.stderr
    instance.remove()
    last = out.stderr.strip().splitlines()[-1]
    assert last.startswith("open-hydra-server: "), out.stderr
    return last


@pytest.mark.parametrize("which", ["dashboard", "api"])
def test_port_in_use(which):
    instance = Instance()
    port = getattr(instance, f"{which}_port")
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        held.listen()
        line = fails(instance)
    assert str(port) in line and f"--{which}-listen" in line


def test_a_second_one_on_the_same_directories(hydra):
    second = Instance(data=str(hydra.home))
    second.runtime, second.data = hydra.runtime, hydra.data
    out = subprocess.run(second.command("run"), capture_output=True, text=True, timeout=60, env=second.env)
    assert out.returncode == 1 and f"process {hydra.process.pid}" in out.stderr and "running already" in out.stderr, out.stderr
    # The same data from another runtime directory; nothing of the first one's is written anew.
    kubeconfig = pathlib.Path(hydra.kubeconfig).read_text()
    second.runtime = hydra.home / "run2"
    out = subprocess.run(second.command("run"), capture_output=True, text=True, timeout=90, env=second.env)
    assert out.returncode == 1 and "running already" in out.stderr, out.stdout + out.stderr
    assert pathlib.Path(hydra.kubeconfig).read_text() == kubeconfig
    second.runtime = hydra.home / "run3"
    out = subprocess.run(second.command("serve"), capture_output=True, text=True, timeout=90, env=second.env)
    assert out.returncode == 1 and "running already" in out.stderr, out.stdout + out.stderr
    assert hydra.admin().get("/readyz").status_code == 200, "the first one goes on"


def test_damaged_database():
    instance = Instance()
    with instance:
        instance.create_user("anna")
        instance.stop()
        database = instance.data / "server/open-hydra.db"
        for extra in ("-wal", "-shm"):
            pathlib.Path(f"{database}{extra}").unlink(missing_ok=True)
        database.write_bytes(b"This is no database. " * 1000)
        out = subprocess.run(instance.command("run"), capture_output=True, text=True, timeout=90, env=instance.env)
        assert out.returncode == 1 and "open-hydra.db" in out.stderr, out.stderr
        assert database.read_bytes().startswith(b"This is no database"), "nothing is overwritten"


def test_no_place_for_data():
    instance = Instance()
    (instance.home / "file").write_text("")
    instance.data = instance.home / "file" / "data"
    assert str(instance.data) in fails(instance)


# ---- subcommands --------------------------------------------------------------------------------------------------

def test_output_tells_where(fresh):
    text = fresh.output()
    assert f"http://127.0.0.1:{fresh.dashboard_port}" in text and f"https://127.0.0.1:{fresh.api_port}" in text
    assert f"export KUBECONFIG={fresh.kubeconfig}" in text and f"/setup?code={fresh.setup_code}" in text
    assert pathlib.Path(fresh.kubeconfig).stat().st_mode & 0o777 == 0o600


def test_kubeconfig(hydra):
    before = pathlib.Path(hydra.kubeconfig).read_text()
    out = subprocess.run(hydra.command("kubeconfig"), capture_output=True, text=True, env=hydra.env)
    assert out.returncode == 0 and out.stdout == f"export KUBECONFIG={hydra.kubeconfig}\n"
    assert pathlib.Path(hydra.kubeconfig).read_text() == before


def test_kubeconfig_renew(fresh):
    """The old certificate is refused by the running server, the new one is good."""
    old = Client(fresh)
    assert old.get("devices").status_code == 200
    watch = Watch(old, "openhydrausers", resourceVersion=old.get("openhydrausers").json()["metadata"]["resourceVersion"],
                  timeoutSeconds=3000)
    out = subprocess.run(fresh.command("kubeconfig", "--renew"), capture_output=True, text=True, env=fresh.env)
    assert out.returncode == 0, out.stderr
    new = Client(fresh)
    assert new.cert != old.cert
    assert new.get("devices").status_code == 200
    wait_until(lambda: old.get("devices").status_code == 401, 30, what="the old certificate refused")
    is_status(old.get("devices"), 401, "Unauthorized", "revoked")
    # What was open ends too, though nothing happens that it could tell.
    event = watch.until(lambda kind, _: kind != "BOOKMARK")
    assert event["type"] == "ERROR" and event["object"]["code"] == 401
    assert watch.next() is None
    watch.close()
    fresh.stop()
    fresh.start()
    is_status(Client(fresh, certificate=False).get("devices", cert=old.cert), 401, "Unauthorized", "revoked")
    assert new.get("devices").status_code == 200
    if kubectls():
        assert fresh.kubectl("get", "devices").returncode == 0


def test_certificate_of_another_authority(hydra, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                    "-subj", "/O=system:masters/CN=admin", "-keyout", tmp_path / "key", "-out", tmp_path / "crt"], check=True, capture_output=True)
    stranger = Client(hydra, certificate=False)
    stranger.cert = (str(tmp_path / "crt"), str(tmp_path / "key"))
    is_status(stranger.get("devices"), 401, "Unauthorized")


def passwd(instance, user, text):
    return subprocess.run(instance.command("passwd", user), input=text, capture_output=True, text=True, env=instance.env, timeout=60)


def test_passwd(hydra):
    hydra.create_user("forgetful")
    session = hydra.login("forgetful", "password")
    out = passwd(hydra, "forgetful", "a new one, with spaces\n")
    assert out.returncode == 0, out.stderr
    assert session.get("devices").status_code == 401
    hydra.login("forgetful", "a new one, with spaces")
    out = passwd(hydra, "nobody-here", "something-else\n")
    assert out.returncode == 1 and "not found" in out.stderr
    assert passwd(hydra, "forgetful", "").returncode == 1
    hydra.login("forgetful", "a new one, with spaces")


def typed(instance, user, *lines):
    """`passwd` on a terminal of its own: what it shows, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        command = instance.command("passwd", user)
        os.execve(command[0], command, instance.env)
    shown = b""
    lines = list(lines)
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if shown.endswith(b": ") and lines:
            os.write(terminal, lines.pop(0).encode() + b"\n")
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_passwd_on_a_terminal(hydra):
    hydra.create_user("typist")
    shown, code = typed(hydra, "typist", "the first one", "the other one")
    assert code == 1 and "the two differ" in shown
    hydra.login("typist", "password")
    shown, code = typed(hydra, "typist", "the first one", "the first one")
    assert code == 0 and "is changed" in shown
    assert "the first one" not in shown, "nothing is echoed"
    hydra.login("typist", "the first one")


def test_down_is_not_for_what_runs(hydra):
    out = hydra.down()
    assert out.returncode == 1 and "running already" in out.stderr, out.stdout + out.stderr
    assert hydra.admin().get("/readyz").status_code == 200


def test_environments_of_another_state_folder_are_left_alone(fresh):
    """What runs on after a stop has its sockets in the runtime directory, which others may share one after the other."""
    fresh.stop()
    place = fresh.runtime / "env/0123456789abcdef"
    place.mkdir()
    other = Instance(data=str(fresh.home))
    other.data, other.runtime = fresh.home / "other", fresh.runtime
    for command in ("down", "run", "runner"):
        out = subprocess.run(other.command(command), capture_output=True, text=True, timeout=60, env=other.env)
        assert out.returncode == 1 and f"down --data {fresh.data} --runtime {fresh.runtime}`" in out.stderr, out.stdout + out.stderr
        assert place.is_dir()
    fresh.start()
    fresh.stop()
    assert fresh.down().returncode == 0 and not place.exists()
    with_its_own = subprocess.run(other.command("down"), capture_output=True, text=True, timeout=60, env=other.env)
    assert with_its_own.returncode == 0, with_its_own.stderr


def test_the_start_says_how_to_remove_what_runs(fresh):
    fresh.stop()
    words = re.search(r"this removes them:\n +(.*)", fresh.output()).group(1).split()
    assert words == [str(PROGRAM), "down", "--data", str(fresh.data), "--runtime", str(fresh.runtime)]


def test_passwd_without_a_server(fresh):
    fresh.create_user("anna")
    fresh.stop()
    out = passwd(fresh, "anna", "something-else\n")
    assert out.returncode == 1 and "does not answer" in out.stderr and "run" in out.stderr, out.stderr


def test_stop_and_start_again(fresh):
    """What was there is there, under the same revision, and the addresses are the same."""
    made = fresh.create_user("anna")
    listed = fresh.admin().get("openhydrausers").json()
    assert fresh.stop() == 0
    assert subprocess.run(["ss", "-Hltn", f"sport = :{fresh.api_port}"], capture_output=True, text=True).stdout == ""
    fresh.start()
    assert fresh.admin().get("openhydrausers/anna").json() == made
    # Of the revisions since then each is a word of the runner's about its host; none is left out or given twice.
    before, now = (int(l["metadata"]["resourceVersion"]) for l in (listed, fresh.admin().get("openhydrausers").json()))
    with Watch(fresh.admin(), "hosts", resourceVersion=str(before), timeoutSeconds="20") as watch:
        told = [int(watch.next()["object"]["metadata"]["resourceVersion"]) for _ in range(now - before)]
    assert told == list(range(before + 1, now + 1))


def test_children_that_end_are_started_again(fresh):
    for name in ("server", "runner", "nginx"):
        before = fresh.child(name)
        below = children(before)
        os.kill(before, 9)
        wait_until(lambda: fresh.child(name) not in (None, before), 30, what=f"another {name}")
        # nginx's workers would go on without their master, and hold its ports.
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), 30, what="the end of what it had started")
    wait_until(lambda: _answers(fresh), 30, what="answers again")
    assert fresh.output().count("starting it again") == 3, fresh.output()[-3000:]


def _answers(instance):
    try:
        return instance.admin().get("/readyz").status_code == 200
    except OSError:
        return False


def test_rights_of_the_processes(hydra):
    """Only the runner keeps the rights it needs."""
    if os.geteuid() != 0:
        pytest.skip("as an ordinary user all are that user")
    for name in ("server", "nginx"):
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{hydra.child(name)}/status").read_text().splitlines() if ":\t" in line)
        assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split(), (name, status["Uid"])
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0 and status["NoNewPrivs"].strip() == "1"
        assert status["Groups"].strip() in ("", status["Gid"].split()[0])


def test_only_the_gateway_listens(hydra):
    out = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout
    for name in ("server", "runner"):
        assert f"pid={hydra.child(name)}," not in out
    assert f"pid={hydra.child('nginx')}," in out


def test_state_is_closed_to_others(hydra):
    for path in (hydra.data / "server", hydra.data / "gateway", hydra.runtime / "runner"):
        assert path.stat().st_mode & 0o077 == 0, path
    for path in hydra.data.rglob("*"):
        if path.is_file() and (path.suffix == ".key" or path.name in ("kubeconfig", "open-hydra.db")):
            assert path.stat().st_mode & 0o077 == 0, path
