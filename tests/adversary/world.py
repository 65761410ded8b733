"""An instance with a class that works, and with attackers among them."""
import os
import pathlib
import shutil
import sys

from support.instance import ROOT, Instance, kubectls
from support.lab import Lab

sys.path.append(str(ROOT / "tests/e2e"))

from inside import Hostile, make_sandbox  # noqa: E402
from wire import Target  # noqa: E402
from witness import Class  # noqa: E402

# Memory and time are the release build's.
PROGRAM = os.environ.get("OPENHYDRA_PROGRAM", ROOT / "build/release/src/open-hydra-server")


def token(hydra, name):
    answer = hydra.visitor().post("/auth/login", json={"username": name, "password": "password", "bearer": True})
    assert answer.status_code == 200, answer.text
    return answer.json()["token"]


def cookies(session):
    return "; ".join(f"{c.name}={c.value}" for c in session.cookies)


class World:
    """carol logs in, ben has a notebook open, dave starts and stops, lara looks at the dashboard; eve attacks with her token
    (erin is she as well), eva from inside of her environment."""

    def __init__(self):
        self.hydra = Instance(config={"defaultCpuPerDevice": 500, "defaultRamPerDevice": 512}, program=PROGRAM)
        self.hydra.start()
        try:
            self.prepare()
        except BaseException:
            self.close()
            raise

    def prepare(self):
        hydra = self.hydra
        hydra.create_user("headmaster", "the-head-knows", role=1)
        for name in ("carol", "ben", "dave", "lara", "eve", "erin", "eva"):
            hydra.create_user(name)
        make_sandbox(hydra)
        hydra.create_device("ben", sandboxName="jupyter-lab")
        hydra.create_device("eva", sandboxName="hostile")
        hydra.wait_phase("ben", "Running", 120)
        hydra.wait_phase("eva", "Running", 120)
        self.ben = hydra.environment(hydra.login("ben", "password"), "ben")
        assert Lab(*self.ben).write("work.txt", "what ben has written").status_code == 201
        self.eva = hydra.environment(hydra.login("eva", "password"), "eva")
        self.tokens = {name: token(hydra, name) for name in ("dave", "lara", "eve", "eva")}

    def people(self):
        hydra = self.hydra
        ca, crt, key = (hydra.certificate_files()[k] for k in ("ca", "crt", "key"))
        kubectl = shutil.which("kubectl") or next(iter(kubectls().values()))
        return Class(dashboard=hydra.dashboard_port, api=hydra.api_port, certificates={"ca": ca, "crt": crt, "key": key}, kubectl=kubectl,
                     kubeconfig=hydra.kubeconfig, lister_token=self.tokens["lara"], lab_port=hydra.device("ben")["status"]["port"],
                     lab_cookie=cookies(self.ben[0]), lab_notebook="work.txt", login_name="carol", starter_token=self.tokens["dave"],
                     starter_name="dave", sandbox="jupyter-lab")

    def target(self, seconds, seed):
        hydra = self.hydra
        hydra.wait_phase("eva", "Running", 60)  # an attack may have cost its own environment
        return Target(dashboard=hydra.dashboard_port, api=hydra.api_port, first_port=hydra.environment_ports[0],
                      authority=hydra.certificate_files()["ca"], token=self.tokens["eve"], name="eve", spare_name="erin", inside_token=self.tokens["eva"],
                      inside_name="eva", inside_port=hydra.device("eva")["status"]["port"], inside_cookie=cookies(self.eva[0]),
                      socket=Hostile(hydra, "eva").socket, seconds=seconds, seed=seed)

    def folders(self):
        """Where a service of ours writes; homes are their owners'."""
        return [p for p in pathlib.Path(self.hydra.data).iterdir() if p.name != "workspace"]

    def close(self):
        try:
            self.hydra.stop()
        finally:
            self.hydra.down()
            self.hydra.remove()
