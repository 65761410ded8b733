"""Homes that a start has to live with: each function breaks one in one way. The names of HOMES are the table of docs/environments.md's promise."""
import os
import pathlib
import stat
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "images"))
from environment import BASE  # noqa: E402

STUDENT = BASE + 1000
SOMEBODY = 0  # of the host: nobody that is known inside
PACKAGES = ".local/lib/python3.13/site-packages"
CONFIG = ".jupyter/jupyter_server_config.py"
CONFIG_JSON = ".jupyter/jupyter_server_config.json"
SETTINGS = ".jupyter/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings"
WORKSPACE = ".jupyter/lab/workspaces/default-37a8.jupyterlab-workspace"
SHARE = ".local/share/jupyter"
CODE = ".local/share/code-server"
SPEC = '{"argv": ["%s", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "My env", "language": "python"}'


class Home:
    """Made on the host, as root; what is in it belongs to the student, unless it says otherwise."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir(mode=0o700)
        os.chown(self.path, STUDENT, STUDENT)

    def parent(self, path):
        whole = self.path / path
        for folder in reversed(whole.relative_to(self.path).parents):
            folder = self.path / folder
            if not folder.exists():
                folder.mkdir()
                os.chown(folder, STUDENT, STUDENT)
        return whole

    def own(self, path, mode=None, owner=STUDENT):
        os.chown(path, owner, owner, follow_symlinks=False)
        if mode is not None:
            path.chmod(mode)

    def file(self, path, text="", mode=0o644, owner=STUDENT):
        whole = self.parent(path)
        whole.write_text(text)
        self.own(whole, mode, owner)

    def folder(self, path, mode=0o755, owner=STUDENT):
        whole = self.parent(path)
        whole.mkdir(exist_ok=True)
        self.own(whole, mode, owner)

    def pipe(self, path):
        whole = self.parent(path)
        os.mkfifo(whole)
        self.own(whole)

    def link(self, path, to):
        whole = self.parent(path)
        whole.symlink_to(to)
        self.own(whole)

    def package(self, name, text):
        self.file(f"{PACKAGES}/{name}/__init__.py", text)

    def mode(self, mode):
        self.path.chmod(mode)

    def whose(self, path):
        found = os.lstat(self.path / path)
        return found.st_uid, stat.S_IMODE(found.st_mode)


def config(*lines):
    return lambda home: home.file(CONFIG, "\n".join(["c = get_config()", *lines]) + "\n")


def file(path, text="", **more):
    return lambda home: home.file(path, text, **more)


def folder(path, **more):
    return lambda home: home.folder(path, **more)


def pipe(path):
    return lambda home: home.pipe(path)


def link(path, to):
    return lambda home: home.link(path, to)


def package(name, text):
    return lambda home: home.package(name, text)


def mode(mode):
    return lambda home: home.mode(mode)


def kernel(name, text):
    return file(f"{SHARE}/kernels/{name}/kernel.json", text)


GONE = SPEC % "/home/student/gone/bin/python"
EXTENSION = f"{SHARE}/labextensions/lesson"
ENDS = "import os; os._exit(3)\n"
HANGS = "while True: pass\n"
BROKEN = "raise RuntimeError('broken')\n"

# Where a start reads them, so that it must not.
CONFIGURED = {
    "port": config("c.ServerApp.port = 9999"),
    "socket": config("c.ServerApp.sock = '/tmp/other.sock'"),
    "address": config("c.ServerApp.ip = '10.1.2.3'"),
    "certificate": config("c.ServerApp.certfile = '/home/student/gone.pem'", "c.ServerApp.keyfile = '/home/student/gone.key'"),
    "class that is none": config("c.FileContentsManager.checkpoints_class = 'no.such.Class'"),
    "contents manager": config("c.ServerApp.contents_manager_class = 'no.such.Manager'"),
    "kernel manager": config("c.ServerApp.kernel_manager_class = 'no.such.Manager'", "c.ServerApp.kernel_spec_manager_class = 'no.such.Specs'"),
    "identity provider": config("c.ServerApp.identity_provider_class = 'no.such.Provider'"),
    "own token": config("c.IdentityProvider.token = 'mine'", "c.ServerApp.token = 'mine'"),
    "no token": file(CONFIG_JSON, '{"IdentityProvider": {"token": ""}, "ServerApp": {"token": ""}}'),
    "password": config("c.PasswordIdentityProvider.hashed_password = 'argon2:x'", "c.ServerApp.password_required = True"),
    "base url": config("c.ServerApp.base_url = '/elsewhere/'"),
    "origin": config("c.ServerApp.allow_origin = 'https://elsewhere.example'"),
    "root folder": config("c.ServerApp.root_dir = '/gone'", "c.FileContentsManager.root_dir = '/gone'", "c.ServerApp.preferred_dir = '/gone'"),
    "runtime folder": config("c.ServerApp.runtime_dir = '/proc/none'", "c.JupyterApp.runtime_dir = '/proc/none'"),
    "log level": config("c.ServerApp.log_level = 'nonsense'"),
    "wrong types": config("c.ServerApp.iopub_data_rate_limit = 'much'", "c.MappingKernelManager.cull_interval = 'never'"),
    "no extensions": file(".jupyter/jupyter_server_config.d/none.json", '{"ServerApp": {"jpserver_extensions": {"jupyterlab": false, "gone": true}}}'),
    "no lab": file(CONFIG_JSON, '{"ServerApp": {"jpserver_extensions": {"jupyterlab": false, "jupyter_server_terminals": false}}}'),
    "lab configured": file(".jupyter/jupyter_lab_config.py", "c.LabApp.app_dir = '/gone'\nc.LabApp.app_url = '/other'\nc.LabApp.user_settings_dir = '/gone'\n"),
    "base configured": file(".jupyter/jupyter_config.json", '{"JupyterApp": {"config_dir": "/gone"}, "ServerApp": {"port": 1}}'),
    "notebook configured": file(".jupyter/jupyter_notebook_config.py", "c.NotebookApp.port = 9999\nc.NotebookApp.token = ''\n"),
    "ends when read": file(CONFIG, ENDS),
    "hangs when read": file(CONFIG, HANGS),
    "no Python": file(CONFIG, "c.ServerApp.port = = 1\n"),
    "no JSON": file(CONFIG_JSON, "{port: 1"),
    "JSON of another kind": file(CONFIG_JSON, '["ServerApp"]'),
    "deep JSON": file(CONFIG_JSON, "[" * 100000),
    "pipe for settings": pipe(CONFIG_JSON),
    "pipe for Python": pipe(CONFIG),
    "link in a circle": link(CONFIG, "jupyter_server_config.py"),
    "endless settings": link(CONFIG_JSON, "/dev/zero"),
    "settings are a file": file(".jupyter", "x"),
    "settings are shut": folder(".jupyter", mode=0),
    "settings of somebody": folder(".jupyter", mode=0o700, owner=SOMEBODY),
    "migration from 2015": file(".ipython/profile_default/ipython_notebook_config.py", "c.NotebookApp.port = 1\n"),
}

LAB = {
    "page settings broken": file(".jupyter/labconfig/page_config.json", "{"),
    "page settings of a list": file(".jupyter/labconfig/page_config.json", '{"disabledExtensions": ["@jupyterlab/toc-extension"]}'),
    "page settings no object": file(".jupyter/labconfig/page_config.json", "[1]"),
    "page elsewhere": file(".jupyter/labconfig/page_config.json", '{"baseUrl": "/gone/", "appUrl": "/gone", "token": "x"}'),
    "page switched off": file(".jupyter/labconfig/page_config.json", '{"disabledExtensions": {"@jupyterlab/application-extension": true}}'),
    "page settings unreadable": file(".jupyter/labconfig/page_config.json", "{}", mode=0, owner=SOMEBODY),
    "front end settings broken": file(".jupyter/serverconfig/notebook.json", "[]"),
    "user settings broken": file(SETTINGS, '{"theme": '),
    "user settings of another kind": file(SETTINGS, "17"),
    "user settings unreadable": file(SETTINGS, "{}", mode=0, owner=SOMEBODY),
    "pipe for user settings": pipe(SETTINGS),
    "folder for user settings": folder(SETTINGS),
    "workspace broken": file(WORKSPACE, "{"),
    "workspace without a name": file(WORKSPACE, '{"data": {}}'),
    "pipe for a workspace": pipe(WORKSPACE),
    "workspaces are a file": file(".jupyter/lab/workspaces", "x"),
    "extension broken": file(f"{EXTENSION}/package.json", "{"),
    "extension of nothing": file(f"{EXTENSION}/package.json", "{}"),
    "extension without a build": file(f"{EXTENSION}/package.json", '{"name": "lesson", "version": "1", "jupyterlab": {"_build": {"extension": "x"}}}'),
    "pipe for an extension": pipe(f"{EXTENSION}/package.json"),
    "extension's schema broken": file(f"{EXTENSION}/schemas/lesson/plugin.json", "{"),
    "extensions of somebody": folder(f"{SHARE}/labextensions", mode=0o700, owner=SOMEBODY),
}

KERNELS = {
    "kernel of a venv that is gone": kernel("python3", GONE),
    "kernel broken": kernel("python3", "{"),
    "kernel without a program": kernel("python3", '{"argv": [], "display_name": "x", "language": "python"}'),
    "kernel of a bad name": kernel("bad name!", GONE),
    "pipe for a kernel": pipe(f"{SHARE}/kernels/python3/kernel.json"),
    "kernels of somebody": folder(f"{SHARE}/kernels", mode=0o700, owner=SOMEBODY),
    "kernels are a file": file(f"{SHARE}/kernels", "x"),
    "ipython configuration broken": file(".ipython/profile_default/ipython_config.py", "c.InteractiveShellApp.extensions = [\n"),
    "ipython class that is none": file(".ipython/profile_default/ipython_kernel_config.py", "c.IPKernelApp.kernel_class = 'no.such.Class'\n"),
    "ipython start file ends it": file(".ipython/profile_default/startup/00.py", ENDS),
    "ipython start file raises": file(".ipython/profile_default/startup/00.py", "import sys\nsys.exit(1)\n"),
    "ipython is a file": file(".ipython", "x"),
    "ipython's profile is a file": file(".ipython/profile_default", "x"),
    "ipython of somebody": folder(".ipython", mode=0o700, owner=SOMEBODY),
    "history broken": file(".ipython/profile_default/history.sqlite", "no database" * 1000),
    "ipykernel_launcher.py": file("ipykernel_launcher.py", ENDS),
    "folder called ipykernel": file("ipykernel/__init__.py", ENDS),
    "random.py": file("random.py", BROKEN),
}

PACKAGED = {
    "usercustomize ends it": file(f"{PACKAGES}/usercustomize.py", ENDS),
    "start-up line ends it": file(f"{PACKAGES}/lesson.pth", "import os; os._exit(3)\n"),
    "start-up line raises": file(f"{PACKAGES}/lesson.pth", "import gone_since_long\n"),
    "tornado": package("tornado", BROKEN),
    "jupyter_server": package("jupyter_server", ENDS),
    "traitlets": package("traitlets", BROKEN),
    "zmq": package("zmq", BROKEN),
    "ipykernel": package("ipykernel", ENDS),
    "IPython": package("IPython", ENDS),
    "typing_extensions": file(f"{PACKAGES}/typing_extensions.py", BROKEN),
    "programs of that name": file(".local/bin/python3", "#!/bin/sh\nexit 9\n", mode=0o755),
    "jupyter of that name": file(".local/bin/jupyter", "#!/bin/sh\nexit 9\n", mode=0o755),
}

FILES = {
    "share is a file": file(".local/share/jupyter", "x"),
    "local is a file": file(".local", "x"),
    "local of somebody": folder(".local", mode=0o755, owner=SOMEBODY),
    "local shut": folder(".local", mode=0),
    "cache is a file": file(".cache", "x"),
    "signatures broken": file(f"{SHARE}/nbsignatures.db", "no database" * 1000),
    "signatures are a folder": folder(f"{SHARE}/nbsignatures.db"),
    "signatures of somebody": file(f"{SHARE}/nbsignatures.db", mode=0o600, owner=SOMEBODY),
    "secret is a folder": folder(f"{SHARE}/notebook_secret"),
    "pipe for the secret": pipe(f"{SHARE}/notebook_secret"),
    "secret of somebody": file(f"{SHARE}/notebook_secret", "x", mode=0o600, owner=SOMEBODY),
    "home shut by its owner": mode(0),
    "home write-protected": mode(0o500),
    "profile ends a shell": file(".profile", "exit 1\n"),
    "matplotlib's settings broken": file(".config/matplotlib/matplotlibrc", "nonsense nonsense\n"),
    "git's settings broken": file(".gitconfig", "[[[\n"),
}

# In which a student cannot save, however it is started.
UNWRITABLE = {"full", "read-only"}

JUPYTER = {**CONFIGURED, **LAB, **KERNELS, **PACKAGED, **FILES, "full": None, "read-only": None}

VSCODE = {
    "settings broken": file(f"{CODE}/User/settings.json", "{"),
    "settings are a folder": folder(f"{CODE}/User/settings.json"),
    "pipe for settings": pipe(f"{CODE}/User/settings.json"),
    "settings of somebody": file(f"{CODE}/User/settings.json", "{}", mode=0o600, owner=SOMEBODY),
    "pipe for keybindings": pipe(f"{CODE}/User/keybindings.json"),
    "arguments broken": file(f"{CODE}/User/argv.json", "{"),
    "machine settings endless": link(f"{CODE}/Machine/settings.json", "/dev/zero"),
    "list of extensions broken": file(f"{CODE}/extensions/extensions.json", "{"),
    "pipe for the list of extensions": pipe(f"{CODE}/extensions/extensions.json"),
    "extension broken": file(f"{CODE}/extensions/school.lesson-1.0.0/package.json", "{"),
    "languages broken": file(f"{CODE}/languagepacks.json", "{"),
    "pipe for languages": pipe(f"{CODE}/languagepacks.json"),
    "data is a file": file(CODE, "x"),
    "data of somebody": folder(CODE, mode=0o700, owner=SOMEBODY),
    "user's part is a file": file(f"{CODE}/User", "x"),
    "local is a file": file(".local", "x"),
    "local of somebody": folder(".local", mode=0o755, owner=SOMEBODY),
    "code-server's settings": file(".config/code-server/config.yaml", "bind-addr: 10.1.2.3:1\nauth: password\ncert: /gone\n"),
    "code-server's settings broken": file(".config/code-server/config.yaml", ": : :\n- ["),
    "modules": file(".node_modules/bufferutil/index.js", "process.exit(3)\n"),
    "npm's settings": file(".npmrc", "node-options=--gone\n"),
    "home shut by its owner": mode(0),
    "home write-protected": mode(0o500),
    "full": None,
    "read-only": None,
}


def well(home):
    """Nothing is wrong with it: what its owner set is used."""
    home.file(CONFIG, "c = get_config()\nc.ContentsManager.allow_hidden = True\nc.ServerApp.iopub_data_rate_limit = 1e10\n")
    home.file(".hidden")
    home.file(SETTINGS, '{"theme": "JupyterLab Dark"}')
    home.file(".jupyter/labconfig/page_config.json", '{"disabledExtensions": {"@jupyterlab/toc-extension": true}}')
    home.file(f"{SHARE}/kernels/mine/kernel.json", SPEC % "/opt/python/bin/python3")
    home.file(f"{SHARE}/kernels/python3/kernel.json", SPEC % "/opt/python/bin/python3")
    home.package("lesson_of_mine", "value = 7\n")
    home.file(".ipython/profile_default/startup/00.py", "from_startup = 8\n")


HOMES_OF = {"jupyter-lab": {**JUPYTER, "own settings": well}, "vscode": VSCODE}
