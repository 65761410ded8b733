"""Safe mode (OPENHYDRA_SAFE_MODE=1): what a home says is not read, and what the server must write lies in memory.

The home itself is there, so that files can be opened, saved and deleted.
"""
import os

STATE = "/tmp/open-hydra"  # memory: an environment's /tmp
SHELL = ["/bin/bash", "--noprofile", "--rcfile", "/opt/jupyter/lib/open-hydra/safe-mode.bashrc"]


def wanted():
    return os.environ.get("OPENHYDRA_SAFE_MODE", "") not in ("", "0")


def enter():
    variables = without_home(os.environ)
    for gone in set(os.environ) - set(variables):
        del os.environ[gone]
    os.environ.update(variables)


def without_home(environment):
    """The variables with which programs find nothing of theirs in the home."""
    found = dict(environment)
    places = {"IPYTHONDIR": "ipython", "MPLCONFIGDIR": "matplotlib", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache",
              "XDG_DATA_HOME": "share", "XDG_STATE_HOME": "state", "JUPYTER_CONFIG_DIR": "jupyter", "JUPYTER_DATA_DIR": "share/jupyter"}
    found.update({name: f"{STATE}/home/{place}" for name, place in places.items()})
    local = os.path.expanduser("~/.local/bin")
    found["PATH"] = ":".join(each for each in found.get("PATH", "").split(":") if each != local)
    found.update(PYTHONNOUSERSITE="1", HISTFILE=f"{STATE}/home/history", GIT_CONFIG_GLOBAL="/dev/null", INPUTRC="/etc/inputrc",
                 PIP_CONFIG_FILE="/dev/null", NPM_CONFIG_USERCONFIG="/dev/null")
    for name in ("PYTHONSTARTUP", "PYTHONPATH", "BASH_ENV", "ENV"):
        found.pop(name, None)
    return found
