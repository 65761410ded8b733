"""What the log says of a home: lines that begin with «open-hydra: CAUSE: », by which the runner knows a cause (docs/environments.md)."""
import sys

said = set()


def say(cause, text):
    """Once, however often the same is found."""
    if (cause, text) not in said:
        said.add((cause, text))
        print(f"open-hydra: {cause}: {text}", file=sys.stderr, flush=True)
