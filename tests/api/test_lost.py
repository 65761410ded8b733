"""A database that is gone where there was one is no new installation."""
import os
import subprocess

from support.instance import Instance


def refused(instance, *expected):
    out = subprocess.run(instance.command("run"), env=instance.env, capture_output=True, text=True, timeout=60)
    text = out.stdout + out.stderr
    assert out.returncode != 0 and "/setup?code=" not in text
    for part in expected:
        assert part in text, text


def test_an_empty_database_is_refused():
    with Instance() as instance:
        instance.create_user("ann")
        instance.stop()
        server, database = instance.data / "server", instance.data / "server/open-hydra.db"
        kept = database.read_bytes()
        database.write_bytes(b"")
        refused(instance, "is missing or empty, and there was one", f"{server}/begin-anew")
        database.unlink()
        refused(instance, "is missing or empty, and there was one")
        # Nothing says that there was one, but the homes do.
        (server / "open-hydra.begun").unlink()
        home = instance.data / "workspace/jupyter-lab/ann"
        home.mkdir(parents=True)
        refused(instance, "is missing or empty, and there are homes in", f"{server}/begin-anew")
        database.write_bytes(kept)
        database.chmod(0o600)
        owner = os.stat(server)
        os.chown(database, owner.st_uid, owner.st_gid)
        instance.start()
        instance.login("ann", "password")
        instance.stop()
        database.unlink()
        (server / "begin-anew").touch()
        instance.start()
        assert instance.setup_code
        assert not (server / "begin-anew").exists()
