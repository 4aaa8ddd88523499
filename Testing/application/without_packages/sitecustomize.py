"""On ``PYTHONPATH``: Slicer's Python as on a fresh installation, without the folders that only lend it packages such as torch."""

import sys
from pathlib import Path

sys.path[:] = [folder for folder in sys.path if not (Path(folder) / "torch").is_dir()]
