"""Kernels, whatever a home holds: the image's are always there, and one that does not come up is started without the home's part in it."""
import os
import shutil
import sys

from jupyter_client import kernelspec
from jupyter_core.paths import ENV_JUPYTER_PATH, jupyter_path
from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

from safe_mode import without_home
from said import say

IMAGE = os.path.join(ENV_JUPYTER_PATH[0], "kernels")


def why_unusable(folder):
    """What is wrong with a kernel's folder; None: nothing that can be seen."""
    try:
        spec = kernelspec.KernelSpec.from_resource_dir(folder)
    except Exception as why:
        return f"its kernel.json cannot be read: {why}"
    if not spec.argv:
        return "its kernel.json names no program"
    program = str(spec.argv[0]).replace("{prefix}", sys.prefix).replace("{resource_dir}", folder)
    return None if shutil.which(program) else f"its program {program} is not there"


class KernelSpecs(kernelspec.KernelSpecManager):
    """The image's kernels keep their names: one of the home's that has the same is offered beside it, as NAME-home."""

    def _kernel_dirs_default(self):
        return [IMAGE] + [each for each in jupyter_path("kernels") if each != IMAGE]

    def find_kernel_specs(self):
        found = {}
        for folder in self.kernel_dirs:
            for name, path in self.kernels_in(folder):
                name = name if name not in found else f"{name}-home"
                why = name in found or (folder != IMAGE and why_unusable(path))
                if not why:
                    found[name] = path
                elif isinstance(why, str):
                    say("KernelIgnored", f"{path} is left out: {why}")
        return found

    @staticmethod
    def kernels_in(folder):
        try:
            found = kernelspec._list_kernels_in(folder)
        except OSError as why:
            say("KernelIgnored", f"{folder} cannot be read: {why}")
            return []
        return sorted((name, path) for name, path in found.items() if kernelspec._is_valid_kernel_name(name))

    def get_kernel_spec(self, kernel_name):
        folder = self.find_kernel_specs().get(kernel_name.lower())
        if folder is None:
            raise kernelspec.NoSuchKernel(kernel_name)
        return self.kernel_spec_class.from_resource_dir(folder)


class KernelManager(ServerKernelManager):
    """A kernel that ends before it was ready is started again without ~/.local and ~/.ipython; the next one that a person starts has both."""

    without_home = False

    async def restart_kernel(self, *args, now=False, **kwargs):
        # `now` is the restarter's: nobody asked for this.
        self.without_home = now and (self.without_home or self.execution_state in (None, "starting"))
        if self.without_home:
            say("KernelWithoutHome", "a kernel ended while it started: it is started without ~/.ipython and ~/.local/lib")
            # Who waits for it is connected to the ports that it has.
            kwargs["newports"] = False
        await super().restart_kernel(*args, now=now, **kwargs)
        if self.without_home:
            self.forget_question()

    def forget_question(self):
        """Jupyter asks a kernel once what it is, and waits a minute: the one that has ended may have had the question."""
        asked = self.__dict__.pop("_kernel_info_future", None)
        if asked and not asked.done():
            asked.set_result({})

    async def _async_pre_start_kernel(self, **kwargs):
        command, kwargs = await super()._async_pre_start_kernel(**kwargs)
        if self.without_home:
            kwargs["env"] = without_home(kwargs.get("env") or os.environ)
        return command, kwargs
