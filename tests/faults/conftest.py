import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from school import SEED, TIMES  # noqa: E402


def pytest_report_header():
    return f"faults: FAULTS_TIMES={TIMES} FAULTS_SEED={SEED}"
