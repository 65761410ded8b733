import os
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
# Attackers and witnesses are processes of their own, which find their modules by this too.
sys.path.insert(0, str(HERE))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH")]))
