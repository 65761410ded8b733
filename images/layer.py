#!/usr/bin/env python3
"""Makes layers of images without any engine.

  layer.py base OUT.tar ROOT.tar              the lowest layer, from a tar of a whole root file system
  layer.py above OUT.tar FOLDER BELOW.tar...  how FOLDER, a whole root file system, differs from the layers below

Prints the layer's SHA-256. The same input gives the same bytes: names sorted, owners by number, one date.
"""
import hashlib
import os
import stat
import sys
import tarfile

# Debian 13's release. A file's date must not change an image's id. (images/assemble knows it too.)
DATE = 1754697600
WHITEOUT = ".wh."

# What a layer does not say: what the engine mounts its own over, and what a build leaves lying.
LEFT_OUT = (
    "dev", "proc", "sys", "run/build", "tmp", "root", "etc/resolv.conf", "etc/hosts",
    "var/cache", "var/log", "var/lib/apt", "var/lib/dpkg/status-old",
)


class Hashed:
    """A file for writing that knows the digest of what went through."""

    def __init__(self, path):
        self.file, self.digest = open(path, "wb"), hashlib.sha256()

    def write(self, data):
        self.digest.update(data)
        return self.file.write(data)


def plain(info):
    """What a layer may say about a file: nothing of the machine that built it."""
    info.name = info.name.removeprefix("./").rstrip("/")
    if info.islnk():
        info.linkname = info.linkname.removeprefix("./")
    info.mtime = DATE
    info.uname = info.gname = ""
    info.pax_headers = {}
    return info


# --- the lowest layer ------------------------------------------------------------------------------------------


def write_base(output, source):
    with tarfile.open(source) as base:
        for info in sorted(base.getmembers(), key=lambda each: each.name):
            data = base.extractfile(info) if info.isreg() else None
            info = plain(info)
            # An unprivileged engine may not make device nodes.
            if info.name not in ("", ".") and not info.name.startswith(("dev/", "proc/", "sys/")):
                output.addfile(info, data)


# --- a layer above others --------------------------------------------------------------------------------------


class Below:
    """All that the layers below hold, as one looks through them."""

    def __init__(self, layers):
        self.members = {}
        for layer in layers:
            archive = tarfile.open(layer)
            for info in archive.getmembers():
                folder, name = os.path.split(info.name)
                if name.startswith(WHITEOUT):
                    self.remove(os.path.join(folder, name.removeprefix(WHITEOUT)))
                else:
                    # The second name of a file has no content of its own.
                    first = self.members[info.linkname][1] if info.islnk() else info
                    self.members[info.name] = (archive, first)

    def remove(self, name):
        for each in [each for each in self.members if each == name or each.startswith(name + "/")]:
            del self.members[each]

    def has(self, name, path):
        """Whether the file at `path` is as the layers below have it."""
        archive, known = self.members.get(name, (None, None))
        found = os.lstat(path)
        if known is None or (known.mode, known.uid, known.gid) != (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid):
            return False
        if known.isdir():
            return stat.S_ISDIR(found.st_mode)
        if known.issym():
            return stat.S_ISLNK(found.st_mode) and os.readlink(path) == known.linkname
        if not known.isreg() or not stat.S_ISREG(found.st_mode) or found.st_size != known.size:
            return False
        # Unpacked files have the one date; what has another was written since, perhaps with the same content.
        return found.st_mtime == DATE or same_content(archive.extractfile(known), path)


def same_content(known, path):
    with open(path, "rb") as file:
        while True:
            first, second = known.read(1 << 20), file.read(1 << 20)
            if first != second:
                return False
            if not first:
                return True


def names_in(folder):
    """All names below a folder, as a layer writes them, without what it does not say."""
    for where, folders, files in os.walk(folder):
        inside = os.path.relpath(where, folder)
        prefix = "" if inside == "." else inside + "/"
        folders[:] = [each for each in folders if prefix + each not in LEFT_OUT]
        yield from (prefix + each for each in folders + files if prefix + each not in LEFT_OUT)


def left_out(name):
    return any(name == each or name.startswith(each + "/") for each in LEFT_OUT)


def parents(name):
    parts = name.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def removed(below, names):
    """Whiteouts for what is there no more; one for a whole folder."""
    gone = {name for name in below.members if name not in names and not left_out(name)}
    for name in gone:
        folder, last = os.path.split(name)
        if folder not in gone:
            yield os.path.join(folder, WHITEOUT + last)


def write_above(output, folder, *layers):
    below, names = Below(layers), set(names_in(folder))
    gone = set(removed(below, names))
    kept = {name for name in names if not below.has(name, os.path.join(folder, name))}
    # A layer says its parents' rights too.
    kept.update(each for name in kept | gone for each in parents(name))
    for name in sorted(kept | gone):
        add(output, folder, name, name in gone)


def add(output, folder, name, gone):
    if gone:
        output.addfile(plain(tarfile.TarInfo(name)))
        return
    path = os.path.join(folder, name)
    # gettarinfo makes a second name of the same file a hard link to the first, in order: sorted, so the same each time.
    info = output.gettarinfo(path, name)
    if info is None:
        return  # a socket
    info = plain(info)
    if info.isreg():
        with open(path, "rb") as file:
            output.addfile(info, file)
    else:
        output.addfile(info)


def main(arguments):
    kinds = {"base": write_base, "above": write_above}
    if len(arguments) < 3 or arguments[0] not in kinds or (arguments[0] == "base") != (len(arguments) == 3):
        sys.exit(__doc__)
    kind, out, *rest = arguments
    hashed = Hashed(out)
    with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as output:
        kinds[kind](output, *rest)
    hashed.file.close()
    print(hashed.digest.hexdigest())


if __name__ == "__main__":
    main(sys.argv[1:])
