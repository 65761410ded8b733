"""What Jupyter keeps in a home may be broken, unreadable, somebody else's or not written for want of room: each such file counts as missing.

Jupyter answers by 500 to much of this, for everything at once: one broken file of settings hides all of them.
"""
import errno
import json
import os
import sqlite3
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import nbformat.sign
from jupyter_core.application import JupyterApp
from jupyter_core.paths import ENV_JUPYTER_PATH, jupyter_data_dir
from jupyter_server import config_manager
from jupyter_server.services.contents import filecheckpoints, fileio
from jupyterlab_server import config, settings_utils, workspaces_handler
from tornado.web import HTTPError
from traitlets import default

from safe_mode import STATE
from said import say

FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_TEXT = "没有空间了：请删除一些文件。 There is no room left for your files: delete some."
NOWHERE = f"{STATE}/nowhere"


def in_image(path):
    return str(path).startswith("/opt/")


def load_plain(path):
    """The JSON object in a plain file; raises where that is not what lies there. A pipe would wait for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is no file")
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def replaces(owner, name):
    """The function stands in for owner.name, which it gets as its first argument."""
    def decorate(function):
        original = getattr(owner, name)

        def wrapper(*args, **kwargs):
            return function(original, *args, **kwargs)

        setattr(owner, name, wrapper)
        return wrapper

    return decorate


# --- settings of Jupyter Lab -----------------------------------------------------------------------------------


@replaces(settings_utils, "_get_user_settings")
def user_settings(original, folder, name, schema):
    path = settings_utils._path(folder, name, False, settings_utils.SETTINGS_EXTENSION)
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise ValueError("it is no file")
        return original(folder, name, schema)
    except Exception as why:
        say("ConfigurationBroken", f"{path} is not read: {why}")
        return {**original(NOWHERE, name, schema), "warning": f"{path}: {why}"}


@replaces(config_manager.BaseJSONConfigManager, "get")
def section(original, self, name, *args, **kwargs):
    try:
        return original(self, name, *args, **kwargs)
    except Exception as why:
        say("ConfigurationBroken", f"{self.config_dir}: {name} is not read: {why}")
        return {}


# Without these there is no page on which they could be switched on again.
NEEDED = ("@jupyterlab/application-extension", "@jupyterlab/apputils-extension", "@jupyterlab/services-extension")
SWITCHES = ("disabledExtensions", "lockedExtensions", "deferredExtensions")


def switches(found):
    """Of a home's page_config.json, which extensions are off. The rest of it is addresses and folders of the server's."""
    out = {}
    for key in SWITCHES:
        value = found.get(key, {})
        if isinstance(value, list):
            value = dict.fromkeys((each for each in value if isinstance(each, str)), True)
        if isinstance(value, dict):
            out[key] = {name: on for name, on in value.items() if not name.startswith(NEEDED)}
    return {key: value for key, value in out.items() if value}


@replaces(config, "get_static_page_config")
def page_config(original, *args, level="all", **kwargs):
    if level != "all":
        return original(*args, level=level, **kwargs)
    found = original(level="sys_prefix", include_higher_levels=True)
    config.recursive_update(found, switches(original(level="user")))
    return found


# --- extensions of Jupyter Lab ---------------------------------------------------------------------------------


def check_extension(path):
    found = load_plain(path)
    build = found.get("jupyterlab", {}).get("_build", {})
    if not all(isinstance(found.get(key), str) for key in ("name", "version")) or ("load" not in build and build):
        raise ValueError("it is no extension")
    install = os.path.join(os.path.dirname(path), "install.json")
    if os.path.exists(install):
        load_plain(install)


def check_schema(path):
    if path.count("schemas/") != 1:
        raise ValueError("it lies below two folders called schemas")
    settings_utils.Validator.check_schema(load_plain(path))


def whole(paths, check):
    for path in paths:
        try:
            if not in_image(path):
                check(path)
            yield path
        except Exception as why:
            say("ExtensionIgnored", f"{path}: {why}")


@replaces(config, "iglob")
def extensions(original, *args, **kwargs):
    return whole(original(*args, **kwargs), check_extension)


@replaces(settings_utils, "glob")
def schemas(original, *args, **kwargs):
    return list(whole(original(*args, **kwargs), check_schema))


# --- workspaces ------------------------------------------------------------------------------------------------


def workspace_or_none(path):
    try:
        load_plain(path)["metadata"]["id"]
        return workspaces_handler._load_with_file_times(path)
    except Exception as why:
        say("ConfigurationBroken", f"{path} is not read: {why}")
        return None


@replaces(workspaces_handler.WorkspacesManager, "load")
def workspace(original, self, name):
    path = self.workspaces_dir / (workspaces_handler.slugify(name) + workspaces_handler.WORKSPACE_EXTENSION)
    found = workspace_or_none(path) if os.path.lexists(path) else None
    return found or {"data": {}, "metadata": {"id": name if name.startswith("/") else f"/{name}"}}


@replaces(workspaces_handler, "_list_workspaces")
def workspaces(original, folder, prefix):
    try:
        names = sorted(each for each in os.listdir(folder) if each.startswith(prefix) and each.endswith(workspaces_handler.WORKSPACE_EXTENSION))
    except OSError:
        return []
    return [found for found in (workspace_or_none(folder / each) for each in names) if found]


# --- notebooks -------------------------------------------------------------------------------------------------


class SignatureStore(nbformat.sign.SQLiteSignatureStore):
    """In memory from the moment on in which it can be neither read nor written in the home."""

    def kept(self, method, *args):
        try:
            return getattr(super(), method)(*args)
        except sqlite3.Error as why:
            say("SignaturesInMemory", f"{self.db_file}: {why}")
            self.db_file = ":memory:"
            self.db = self._connect_db(self.db_file)
            return getattr(super(), method)(*args)

    def store_signature(self, *args):
        return self.kept("store_signature", *args)

    def check_signature(self, *args):
        return self.kept("check_signature", *args)

    def remove_signature(self, *args):
        return self.kept("remove_signature", *args)


class Notary(nbformat.sign.NotebookNotary):
    @default("data_dir")
    def _data_dir_default(self):
        return jupyter_data_dir()

    @default("secret")
    def _secret_default(self):
        path = Path(self.secret_file)
        secret = nbformat.sign.encodebytes(os.urandom(1024))
        try:
            if not os.path.lexists(path):
                self._write_secret_file(secret)
            elif not path.is_file():
                raise ValueError("it is no file")
            else:
                # Empty: it was made when there was no room.
                return path.read_bytes() or secret
        except (OSError, ValueError) as why:
            say("SignaturesInMemory", f"{path}: {why}")
        return secret


nbformat.sign.SQLiteSignatureStore = SignatureStore
nbformat.sign.NotebookNotary = Notary
# Not made here: it may not be possible.
JupyterApp._data_dir_default = lambda self: jupyter_data_dir()
# Of ten years ago, from ~/.ipython.
JupyterApp.migrate_config = lambda self: None


def is_full(why):
    """Jupyter's attempt to put the old file back may have failed after it."""
    return isinstance(why, OSError) and (why.errno in FULL or is_full(why.__context__))


@contextmanager
def perm_to_403(self, os_path=""):
    """A full home and a read-only one are said too."""
    try:
        with as_before(self, os_path):
            yield
    except OSError as why:
        if is_full(why):
            raise HTTPError(507, FULL_TEXT) from why
        if why.errno == errno.EROFS:
            raise HTTPError(403, f"Read-only: {os_path}") from why
        raise


as_before = fileio.FileManagerMixin.perm_to_403
fileio.FileManagerMixin.perm_to_403 = perm_to_403


@replaces(filecheckpoints.FileCheckpoints, "checkpoint_path")
def checkpoint_path(original, self, checkpoint_id, path):
    """As Jupyter does for folders that cannot be written: in memory."""
    try:
        return original(self, checkpoint_id, path)
    except (OSError, HTTPError) as why:
        if isinstance(why, HTTPError) and why.status_code not in (403, 507):
            raise
        folder, name = os.path.split(path.strip("/"))
        stem, extension = os.path.splitext(name)
        place = os.path.join(tempfile.gettempdir(), "jupyter_checkpoints", folder)
        os.makedirs(place, exist_ok=True)
        return os.path.join(place, f"{stem}-{checkpoint_id}{extension}")


@replaces(filecheckpoints.AsyncFileCheckpoints, "create_checkpoint")
async def create_checkpoint(original, self, manager, path):
    """Half a checkpoint is none. 403 is what Jupyter Lab opens a file without one at."""
    try:
        return await original(self, manager, path)
    except OSError as why:
        if why.errno not in FULL:
            raise
        half = self.checkpoint_path("checkpoint", path)
        if os.path.isfile(half):
            os.unlink(half)
        raise HTTPError(403, FULL_TEXT) from why


assert in_image(ENV_JUPYTER_PATH[0])
