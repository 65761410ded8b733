"""Starts Jupyter Lab for one student, fast, and whatever the student's home holds.

What a start consists of is nearly all imports: some 900 modules, each looked for in several folders, opened and
decoded, and 400 regular expressions compiled. The image never changes, so all of that is done once when it is
built (see record() and quickstart.py) and read from one file here. Nothing is left out: what the file lacks is
imported as usual.

What this Python runs is the image's alone (`-I` in bin/start); what it reads of the home, and what becomes of what is
broken there, is in the home_*.py beside this file.
"""
import errno
import gc
import json
import os
import sys

# Nothing built while importing is garbage; the collector would only walk it again and again.
gc.disable()

import faulthandler  # noqa: E402

import quickstart  # noqa: E402  (lies beside this file)

SNAPSHOT = os.path.join(os.path.dirname(__file__), "startup.bin")
RECORD = os.environ.pop("OPENHYDRA_RECORD", None)
quickstart.install(None if RECORD else SNAPSHOT, record=bool(RECORD))

import home_settings  # noqa: E402
import safe_mode  # noqa: E402
from said import say  # noqa: E402

HOME = os.path.expanduser("~")
CONFIG = f"{safe_mode.STATE}/config"  # the server's own: what is taken from ~/.jupyter
FULL = (errno.ENOSPC, errno.EDQUOT)
LONGEST_START = 120  # seconds; a hanging one says where, and ends


def arguments():
    """What the gateway relies on, and where Lab keeps a user's settings."""
    lab = f"{safe_mode.STATE}/lab" if safe_mode.wanted() else f"{HOME}/.jupyter/lab"
    socket = os.environ.get("OPENHYDRA_SOCKET")
    chosen = [
        f"--ServerApp.root_dir={HOME}",
        "--ServerApp.base_url=/",
        "--ServerApp.allow_remote_access=True",
        "--ServerApp.allow_root=True",
        "--ServerApp.open_browser=False",
        "--ServerApp.kernel_spec_manager_class=home_kernels.KernelSpecs",
        "--MappingKernelManager.kernel_manager_class=home_kernels.KernelManager",
        f"--LabApp.user_settings_dir={lab}/user-settings",
        f"--LabApp.workspaces_dir={lab}/workspaces",
    ]
    if socket:
        chosen += [f"--ServerApp.sock={socket}", "--ServerApp.sock_mode=0666"]
    else:
        chosen += ["--ServerApp.ip=0.0.0.0", "--ServerApp.port=8888"]
    return chosen + sys.argv[1:]


def open_home():
    """Its owner may have shut it; and saving a notebook writes a signature there."""
    try:
        mode = os.stat(HOME).st_mode
        if mode & 0o700 != 0o700:
            os.chmod(HOME, mode & 0o7777 | 0o700)
        os.makedirs(f"{HOME}/.local/share/jupyter", mode=0o700, exist_ok=True)
    except OSError:
        pass


def test_home():
    """Says what is wrong with it, in words by which a failed start is explained."""
    try:
        file = os.open(HOME, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as why:
        if why.errno != errno.EOPNOTSUPP:
            say("HomeFull" if why.errno in FULL else "HomeNotWritable", f"{HOME}: {why.strerror}")
        return
    try:
        os.write(file, b"\0" * 4096)
    except OSError as why:
        say("HomeFull" if why.errno in FULL else "HomeNotWritable", f"{HOME}: {why.strerror}")
    finally:
        os.close(file)


def settings():
    """What is configured beside the image's own."""
    if safe_mode.wanted():
        return {"ServerApp": {"terminado_settings": {"shell_command": safe_mode.SHELL}}}
    return home_settings.collect(f"{HOME}/.jupyter")


def prepare():
    # Jupyter's own files for running servers and kernels must not pile up in a home.
    os.environ.setdefault("JUPYTER_RUNTIME_DIR", "/tmp/jupyter-runtime")
    # A home may be mounted over this one later; a process that sits in it would stay in the covered one.
    os.chdir("/")
    open_home()
    test_home()
    if safe_mode.wanted():
        safe_mode.enter()
    os.makedirs(f"{safe_mode.STATE}/home", mode=0o700, exist_ok=True)
    os.makedirs(CONFIG, mode=0o700, exist_ok=True)
    with open(f"{CONFIG}/jupyter_server_config.json", "w") as file:
        json.dump(settings(), file)


def when_asked(app, prefix, load):
    """Has `load` called before the first request below `prefix` is routed: what few use costs no start."""
    from tornado.routing import Matcher, Rule

    class Asked(Matcher):
        done = False

        def match(self, request):
            if not self.done and request.path.startswith(prefix):
                self.done = True
                load(app)
            # Never ours: the next rules, among them those that `load` has just added, decide.
            return None

    app.web_app.default_router.rules.insert(0, Rule(Asked(), None))


def load_proxy(app):
    """/proxy/PORT/ is what listens on PORT inside: TensorBoard, Gradio, Streamlit."""
    import jupyter_server_proxy

    jupyter_server_proxy._load_jupyter_server_extension(app)


def when_listening(action):
    """Runs `action` once, when the server listens and is about to answer."""
    from jupyter_server.serverapp import ServerApp

    start = ServerApp.start_ioloop

    def start_ioloop(self):
        action(self)
        start(self)

    ServerApp.start_ioloop = start_ioloop


def settle(app):
    import first_look

    when_asked(app, "/proxy/", load_proxy)
    first_look.look(app)
    faulthandler.cancel_dump_traceback_later()
    gc.freeze()
    gc.enable()
    quickstart.release()


def record(app):
    import first_look

    first_look.look(app)
    quickstart.write(RECORD)
    app.io_loop.call_later(0.1, app.stop)


def configured_from(folder):
    """As long as settings are read they come from that folder and the image's; kernels and terminals know the home's."""
    before = os.environ.get("JUPYTER_CONFIG_DIR")
    os.environ["JUPYTER_CONFIG_DIR"] = folder

    def over():
        os.environ.pop("JUPYTER_CONFIG_DIR")
        if before:
            os.environ["JUPYTER_CONFIG_DIR"] = before

    return over


def main():
    faulthandler.dump_traceback_later(LONGEST_START, exit=True)
    prepare()
    over = configured_from(CONFIG)
    from jupyterlab.labapp import main as jupyterlab

    import home_files  # noqa: F401  (what it replaces is there now)

    def listening(app):
        over()
        (record if RECORD else settle)(app)

    when_listening(listening)
    sys.exit(jupyterlab(arguments()))


if __name__ == "__main__":
    main()
