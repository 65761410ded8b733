"""A start that fails because of the home is tried again without what the home configures, and says so."""
import contextlib

from support.instance import wait_until


def variables(stack, name):
    status, text = stack.inside(name, "/variables")
    assert status == 200
    return dict(line.partition("=")[::2] for line in text.splitlines())


def test_a_failed_start_is_tried_in_safe_mode(stack):
    stack.sandbox("full", env=[{"name": "BEHAVIOUR", "value": "full-home"}])
    stack.create("ada", "full")
    stack.wait("ada", "Running", restarts=1)
    assert variables(stack, "ada")["OPENHYDRA_SAFE_MODE"] == "1"
    said = stack.condition("ada", "SafeMode")
    assert said["status"] == "True" and said["reason"] == "HomeFull" and "exit code 1" in said["message"], said
    # A runner that finds it knows it still, and starts it so again.
    stack.kill("runner")
    stack.start("runner")
    wait_until(lambda: "ada: adopted" in stack.log("runner"), what="adopted")
    with contextlib.suppress(OSError):
        stack.inside("ada", "/exit?0")
    stack.wait("ada", "Running", restarts=2)
    assert stack.condition("ada", "SafeMode")["reason"] == "HomeFull"
    # The next one begins as always.
    stack.delete("ada")
    stack.wait_gone("ada")
    stack.create("ada")
    stack.wait("ada", "Running")
    assert stack.condition("ada", "SafeMode") is None and "OPENHYDRA_SAFE_MODE" not in variables(stack, "ada")


def test_what_fails_in_safe_mode_too_is_given_up(stack):
    stack.sandbox("exit", env=[{"name": "BEHAVIOUR", "value": "exit"}])
    stack.create("ada", "exit")
    status = stack.wait("ada", "Failed", 60, reason="Ended")
    assert status["restarts"] == 3
    assert stack.condition("ada", "SafeMode")["reason"] == "StartFailed"


def test_safe_mode_is_asked_for(stack):
    stack.create("ada", safeMode=True)
    stack.wait("ada", "Running")
    assert variables(stack, "ada")["OPENHYDRA_SAFE_MODE"] == "1"
    wait_until(lambda: (stack.condition("ada", "SafeMode") or {}).get("reason") == "Asked", what="it is said")


def test_a_sandbox_does_not_set_it(stack):
    """Its variables are those of every start; safe mode is a device's."""
    stack.sandbox("loud", env=[{"name": "OPENHYDRA_SAFE_MODE", "value": "0"}])
    stack.create("ada", "loud", safeMode=True)
    stack.wait("ada", "Running")
    assert variables(stack, "ada")["OPENHYDRA_SAFE_MODE"] == "1"
