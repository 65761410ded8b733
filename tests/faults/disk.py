"""A disk of a test's own: ext4 on a loop device, which can fill up, fail, and lose its power."""
import fcntl
import os
import pathlib
import struct
import subprocess
import tempfile

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN (fs/ext4/ext4.h)
NO_LOG_FLUSH = 2       # what is not on the disk now is lost


def run(*command):
    out = subprocess.run(command, capture_output=True, text=True)
    assert out.returncode == 0, f"{' '.join(command)}: {out.stderr}"


class Disk:
    """`mib` large; mounted at `path`. The image is in `folder`: on a smaller disk this one fails when it has taken so much."""

    def __init__(self, mib, folder=None):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="oh-disk-", dir="/tmp"))
        self.top.chmod(0o755)
        self.image, self.path = (pathlib.Path(folder) if folder else self.top) / "image", self.top / "mnt"
        self.path.mkdir()
        with open(self.image, "wb") as f:
            f.truncate(mib << 20)
        run("mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard,lazy_itable_init=1", str(self.image))
        self.mount()

    def mount(self, options="loop"):
        run("mount", "-o", options, str(self.image), str(self.path))

    def cut(self):
        """The power is gone: nothing more reaches the disk, whoever asks gets errors. An fsync that is under way just then may end well,
        and what it was for is not kept: no answer counts that comes after the begin of this."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def power_on(self):
        """What has come to the disk, on another one: the old one would stay as it is as long as any mount namespace knows it."""
        run("umount", "-l", str(self.path))
        after = self.image.with_suffix(".after")
        run("cp", "--sparse=always", str(self.image), str(after))
        self.image.unlink()
        after.rename(self.image)
        self.mount()

    def free(self):
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, leave=0):
        """To the last byte but so many, by a file that is not ours."""
        with open(self.path / "filler", "ab") as f:
            for size in (1 << 20, 1 << 12, 1):
                while self.free() - leave >= size:
                    try:
                        f.write(b"x" * size)
                        f.flush()
                    except OSError:
                        break

    def unfill(self):
        (self.path / "filler").unlink(missing_ok=True)

    def remove(self):
        subprocess.run(["umount", "-l", str(self.path)], capture_output=True)
        self.image.unlink(missing_ok=True)
        subprocess.run(["rm", "-rf", str(self.top)], check=True)
