"""What the runner does with Podman it does with a real Docker daemon too: the same tests, but for those that are about Podman."""
import subprocess
import tempfile
import os

import pytest

from runner.stack import BUILD, Stack, load_image
from runner.test_images import (  # noqa: F401
    closed_registry, registry, test_a_registry_with_users, test_a_wrong_name_shows_what_the_registry_says,
    test_an_edited_sandbox_is_used_by_the_next_environment, test_how_far_a_pull_is_is_seen, test_the_command_pulls_lists_exports_and_imports,
    test_the_command_pulls_with_a_sandboxs_secret, test_what_no_sandbox_names_any_more_is_pruned)
from runner.test_runner import (  # noqa: F401
    test_a_full_disk_says_so_and_heals, test_a_home_that_is_a_link_is_refused, test_a_killed_runner_adopts, test_a_log_is_followed,
    test_a_lost_socket_directory_comes_back, test_a_planted_link_is_not_followed, test_a_stubborn_process_is_killed,
    test_create_delete_create_keeps_the_files, test_data_sets_and_courses_are_read_only, test_delete_while_it_starts, test_down_removes_all,
    test_hardening, test_home_and_socket_directory, test_kill_at_any_moment, test_killed_from_outside_comes_back, test_log_and_usage,
    test_many_at_once, test_out_of_memory_says_so, test_start_status_and_end, test_what_belongs_to_nobody_goes,
    test_what_has_only_the_name_of_ours_is_left_alone, test_what_is_mounted_below_a_data_set_is_read_only_too,
    test_what_ends_by_itself_fails_with_its_last_words)
from runner.test_limits import (  # noqa: F401
    test_files_in_memory_are_as_large_as_said, test_memory_that_ran_out_is_said, test_processes_that_ran_out_are_said,
    test_what_environments_are_told)
from runner.test_tcp import (  # noqa: F401
    ada, test_a_killed_runner_finds_it, test_bodies_whole_and_both_ways, test_it_ends_with_what_runs_whoever_is_there, test_it_is_started_again,
    test_what_hands_the_bytes_on_may_do_nothing_else, test_what_runs_cannot_touch_it)
from support.docker import ended, started
from support.gpu import Machine
from support.instance import wait_until

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine():
    daemon = started()
    try:
        load_image(daemon.socket)
        yield str(daemon.socket)
    finally:
        ended(daemon)


@pytest.fixture
def stack(engine):
    with Stack(engine, docker=True) as stack:
        yield stack


def test_the_calls_by_themselves(engine):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        out = subprocess.run([BUILD / "tests/runner/runner-engine", engine, folder, "docker"], capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stdout + out.stderr


def test_what_cannot_be_started_says_so(stack):
    """Docker knows that this will not get better by trying again."""
    stack.sandbox("broken", command=["/nowhere"])
    stack.create("ada", "broken")
    assert "/nowhere" in stack.wait("ada", "Failed", reason="EngineRefused")["message"]
    assert stack.mounts() == [] and stack.places() == []


def test_gpus_are_nodes_and_mounts(engine, monkeypatch):
    """This Docker is told of them one by one: an older one knows no names of CDI."""
    with Machine(BUILD) as machine:
        for name, value in machine.variables.items():
            monkeypatch.setenv(name, value)
        with Stack(engine, docker=True, config=machine.config) as stack:
            wait_until(lambda: any(h.get("status", {}).get("gpus") for h in stack.api("GET", "hosts")[1]["items"]), what="the host's GPUs")
            stack.create("ada", deviceGpu=1)
            stack.create("bob")
            for name in ("ada", "bob"):
                stack.wait(name, "Running")
            seen = {name: {one for one in stack.inside(name, "/list?/dev")[1].split() if one.startswith("nvidia")} for name in ("ada", "bob")}
            assert seen == {"ada": {"nvidia120", "nvidiactl", "nvidia-uvm"}, "bob": set()}
            assert "libcuda.so.1" in stack.inside("ada", "/list?/opt/nvidia")[1].split()
            assert stack.inside("ada", "/write?/opt/nvidia/libcuda.so.1")[0] == 500
            variables = stack.inside("ada", "/variables")[1].splitlines()
            assert {"LD_LIBRARY_PATH=/opt/nvidia", "NVIDIA_VISIBLE_DEVICES=void", "LD_PRELOAD="} <= set(variables)
