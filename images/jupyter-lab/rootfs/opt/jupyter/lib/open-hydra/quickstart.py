"""Imports from a snapshot: the code of every module that a start needs, and its compiled regular expressions.

The snapshot is made on the very image that it is used in, after the files are final, and holds Python's magic
number; where that differs, or a module is not in it, Python's own machinery does the work as always.

  install(path)           use the snapshot
  install(None, True)     note what a start needs instead;  write(path) then makes the snapshot
"""
import importlib.util
import marshal
import re
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader

# Imported for one rare use each, and dear. They are put in place at once and run when first touched.
LAZY = {"httpx", "requests", "uri_template", "webcolors"}

modules = {}
patterns = {}
noted_patterns = None


class Loader(SourceFileLoader):
    """As if from its source file (resources, source lines and tracebacks work), but the code is at hand."""

    def get_code(self, fullname):
        entry = modules.pop(fullname, None)
        return entry[2] if entry else super().get_code(fullname)


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        entry = modules.get(name)
        if entry is None:
            return None
        origin, folder, code = entry
        if code is None:
            spec = ModuleSpec(name, ExtensionFileLoader(name, origin), origin=origin)
        else:
            spec = ModuleSpec(name, Loader(name, origin), origin=origin, is_package=folder is not None)
            if folder is not None:
                spec.submodule_search_locations.append(folder)
            if name in LAZY:
                spec.loader = importlib.util.LazyLoader(spec.loader)
        spec.has_location = True
        return spec


class LazyFinder:
    """For recording, where modules are found as usual but the lazy ones must be lazy already."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in LAZY:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def install(path, record=False):
    if record:
        note_patterns()
        sys.meta_path.insert(0, LazyFinder)
        return
    try:
        with open(path, "rb") as file:
            magic, found, compiled = marshal.loads(file.read())
    except (OSError, ValueError, EOFError, TypeError):
        return
    if magic != importlib.util.MAGIC_NUMBER:
        return
    modules.update(found)
    patterns.update(compiled)
    sys.meta_path.insert(0, Finder)
    use_patterns()


def release():
    """A start is over: what was not used then is not worth its memory."""
    patterns.clear()
    re._compiler.compile = compile_pattern
    modules.clear()


# --- regular expressions ---------------------------------------------------------------------------------------

compile_pattern = re._compiler.compile


def use_patterns():
    import _sre

    def compile(p, flags=0):
        if type(p) in (str, bytes):
            found = patterns.get((p, int(flags)))
            if found is not None:
                final, code, groups, index, names = found
                return _sre.compile(p, final, code, groups, index, names)
        return compile_pattern(p, flags)

    re._compiler.compile = compile


def note_patterns():
    global noted_patterns
    import _sre

    noted_patterns = {}
    compiler = re._compiler

    class Recorder:
        """Stands in for the module _sre inside re._compiler while one pattern is compiled."""

        def __getattr__(self, name):
            return getattr(_sre, name)

        def compile(self, p, flags, code, groups, index, names):
            if type(p) in (str, bytes):
                # The compiler's constants are a kind of int of its own, which marshal does not take.
                self.last = (int(flags), [int(word) for word in code], groups, dict(index), tuple(names))
            return _sre.compile(p, flags, code, groups, index, names)

    recorder = compiler._sre = Recorder()

    def compile(p, flags=0):
        result = compile_pattern(p, flags)
        if type(p) in (str, bytes):
            noted_patterns[(p, int(flags))] = recorder.last
        return result

    compiler.compile = compile


# --- making the snapshot ---------------------------------------------------------------------------------------


def write(path):
    found = {}
    for name, module in list(sys.modules.items()):
        # Asking an unloaded lazy module for anything would load it.
        spec = object.__getattribute__(module, "__dict__").get("__spec__")
        if spec is None or name == "__main__" or name == __name__ or spec.name != name or not spec.has_location:
            continue
        loader = spec.loader
        if type(loader) is ExtensionFileLoader:
            found[name] = (spec.origin, None, None)
            continue
        if not isinstance(loader, SourceFileLoader):
            loader = getattr(loader, "loader", None)
            if not isinstance(loader, SourceFileLoader):
                continue
        folders = spec.submodule_search_locations
        if folders is not None and len(folders) != 1:
            continue
        found[name] = (spec.origin, folders[0] if folders else None, loader.get_code(name))
    with open(path, "wb") as file:
        file.write(marshal.dumps((importlib.util.MAGIC_NUMBER, found, noted_patterns)))
