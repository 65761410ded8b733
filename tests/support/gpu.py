"""A machine with GPUs, for the runner's processes: the fake NVML (tests/fake), the driver's libraries beside it, and device nodes in
/dev, of numbers that no real GPU has. (In a user namespace runc mounts the node of the same path: they can be nowhere else.)"""
import os
import pathlib
import shutil
import stat
import tempfile

DRIVER = "580.159.04"
BYTES = 85520809984
FIRST = 120  # nvidia120, nvidia121, …
DEV = pathlib.Path("/dev")


class Machine:
    """`start` environment variables: what a process needs to see it; `config`: the keys that lead there."""

    def __init__(self, build, gpus=("GPU-a", "GPU-b")):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gpu-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.scenario, self.lib = self.folder / "scenario", self.folder / "lib"
        self.lib.mkdir()
        shutil.copy(build / "tests/fake/libnvidia-ml.so.1", self.lib / f"libnvidia-ml.so.{DRIVER}")
        (self.lib / "libnvidia-ml.so.1").symlink_to(f"libnvidia-ml.so.{DRIVER}")
        (self.lib / f"libcuda.so.{DRIVER}").write_text("the driver's\n")
        # /dev/null's number: whoever opens one of them gets something.
        self.made = [DEV / name for name in ("nvidiactl", "nvidia-uvm", *(f"nvidia{FIRST + n}" for n in range(len(gpus))))]
        self.made = [path for path in self.made if not path.exists()]
        for path in self.made:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            path.chmod(0o666)
        self.gpus = list(gpus)
        self.says()
        self.variables = {"FAKE_NVML": str(self.scenario)}
        self.config = f"gpuLibrary: {self.lib}/libnvidia-ml.so.1\n"

    def says(self, *more):
        """What the driver says from now on, besides that all are there."""
        lines = [f"driver {DRIVER}", *(f"gpu {name} {FIRST + n} {BYTES} NVIDIA H100 80GB HBM3" for n, name in enumerate(self.gpus)), *more]
        following = self.folder / "scenario.next"
        following.write_text("".join(line + "\n" for line in lines))
        following.rename(self.scenario)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for path in self.made:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder)
