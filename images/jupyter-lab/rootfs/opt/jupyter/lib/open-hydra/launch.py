"""Starts Jupyter Lab for one student, fast.

What a start consists of is nearly all imports: some 900 modules, each looked for in several folders, opened and
decoded, and 400 regular expressions compiled. The image never changes, so all of that is done once when it is
built (see record() and quickstart.py) and read from one file here. Nothing is left out: what the file lacks is
imported as usual.
"""
import gc
import os
import sys

# Nothing built while importing is garbage; the collector would only walk it again and again.
gc.disable()

import quickstart  # noqa: E402  (lies beside this file)

SNAPSHOT = os.path.join(os.path.dirname(__file__), "startup.bin")
RECORD = os.environ.pop("OPENHYDRA_RECORD", None)
quickstart.install(None if RECORD else SNAPSHOT, record=bool(RECORD))


def arguments():
    """The settings that the gateway relies on. As arguments they win over what a home may hold."""
    home = os.path.expanduser("~")
    socket = os.environ.get("OPENHYDRA_SOCKET")
    chosen = [
        f"--ServerApp.root_dir={home}",
        "--ServerApp.base_url=/",
        "--ServerApp.allow_remote_access=True",
        "--ServerApp.allow_root=True",
        "--ServerApp.open_browser=False",
    ]
    if socket:
        chosen += [f"--ServerApp.sock={socket}", "--ServerApp.sock_mode=0666"]
    else:
        chosen += ["--ServerApp.ip=0.0.0.0", "--ServerApp.port=8888"]
    return chosen + sys.argv[1:]


def prepare():
    # Jupyter's own files for running servers and kernels must not pile up in a home.
    os.environ.setdefault("JUPYTER_RUNTIME_DIR", "/tmp/jupyter-runtime")
    # A home may be mounted over this one later; a process that sits in it would stay in the covered one.
    os.chdir("/")
    # Saving a notebook writes a signature here and answers 500 where the folder can't be made.
    try:
        os.makedirs(os.path.expanduser("~/.local/share/jupyter"), mode=0o700, exist_ok=True)
    except OSError:
        pass


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
    when_asked(app, "/proxy/", load_proxy)
    gc.freeze()
    gc.enable()
    quickstart.release()


def record(app):
    quickstart.write(RECORD)
    app.io_loop.call_later(0.1, app.stop)


def main():
    prepare()
    from jupyterlab.labapp import main as jupyterlab

    when_listening(record if RECORD else settle)
    sys.exit(jupyterlab(arguments()))


if __name__ == "__main__":
    main()
