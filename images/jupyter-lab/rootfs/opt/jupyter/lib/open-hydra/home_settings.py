"""Which of the settings in ~/.jupyter the server takes: those named here, and nothing else.

A home's configuration is data: nothing in it is run. Of a .py file only lines like `c.ServerApp.iopub_data_rate_limit = 1e10` count.
What decides where the server listens, whom it lets in, which files it shows or which classes it is made of is not here.
"""
import ast
import json
import os
import stat

from said import say

NAMES = ("jupyter_config", "jupyter_notebook_config", "jupyter_server_config", "jupyter_lab_config")  # later ones win
MOST_BYTES = 1 << 18


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15


def whole(value):
    return number(value) and isinstance(value, int)


def truth(value):
    return isinstance(value, bool)


def texts(value):
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


RATES = {"iopub_data_rate_limit": number, "iopub_msg_rate_limit": number, "rate_limit_window": number}
FILES = {"allow_hidden": truth, "hide_globs": texts, "delete_to_trash": truth}
CULLING = {"cull_idle_timeout": whole, "cull_interval": whole, "cull_connected": truth, "cull_busy": truth}
ALLOWED = {
    "ServerApp": {**RATES, "max_body_size": whole, "max_buffer_size": whole},
    "NotebookApp": RATES,
    "ZMQChannelsWebsocketConnection": RATES,
    "ContentsManager": FILES,
    "FileContentsManager": FILES,
    "MappingKernelManager": CULLING,
    "KernelManager": {"shutdown_wait_time": number},
    "TerminalManager": {"cull_inactive_timeout": whole, "cull_interval": whole},
    "LabApp": {"copy_absolute_path": truth},
}


def read(path):
    """The text of a plain file; None: there is none. Whatever else lies there (a pipe, a folder) is a ValueError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(file, "rb") as stream:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            raise ValueError("it is no file of settings")
        return stream.read().decode()


def assigned(text):
    """(class, name, value) of each line `c.Class.name = value`; a value that is no constant is None."""
    for line in ast.parse(text).body:
        if not isinstance(line, ast.Assign) or len(line.targets) != 1:
            continue
        match line.targets[0]:
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="c"), attr=section), attr=name):
                try:
                    yield section, name, ast.literal_eval(line.value)
                except (ValueError, TypeError):
                    yield section, name, None


def listed(text):
    for section, settings in json.loads(text).items():
        if section != "version":
            yield from ((section, name, value) for name, value in settings.items())


def take(path, reader, out):
    try:
        text = read(path)
        found = list(reader(text)) if text and text.strip() else []
    except Exception as why:
        say("ConfigurationBroken", f"{path} is not read: {why}")
        return
    for section, name, value in found:
        check = ALLOWED.get(section, {}).get(name)
        if check and check(value):
            # What was the Notebook's is the server's now.
            out.setdefault("ServerApp" if section == "NotebookApp" else section, {})[name] = value
        else:
            say("SettingIgnored", f"{path}: {section}.{name} is not taken from a home")


def collect(folder):
    """What a home's folder of settings may say, as Jupyter's own files have it."""
    out = {}
    for name in NAMES:
        take(f"{folder}/{name}.py", assigned, out)
        take(f"{folder}/{name}.json", listed, out)
    return out
