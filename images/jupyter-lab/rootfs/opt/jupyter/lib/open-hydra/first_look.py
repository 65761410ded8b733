"""Before anybody is answered: can be shown what a student sees first? Raises where not, and the start has failed."""
import os

from jupyterlab_server.config import get_page_config


def check_page(lab):
    found = get_page_config(lab.extra_labextensions_path + lab.labextensions_path, lab.app_settings_dir, lab.log)
    assert isinstance(found["federated_extensions"], list)


def check_kernels(app):
    specs = app.kernel_spec_manager.get_all_specs()
    assert "python3" in specs, "the image's kernel is not among the kernels"


def check_files(app):
    with os.scandir(app.root_dir) as entries:
        next(entries, None)


def check_token(app):
    wanted = os.environ.get("JUPYTER_TOKEN")
    assert not wanted or app.identity_provider.token == wanted, "another token than the gateway's"


def look(app):
    check_token(app)
    check_files(app)
    check_kernels(app)
    check_page(next(iter(app.extension_manager.extension_apps["jupyterlab"])))
