"""``python -m MyoScarSegLib.training.runs RUN``: work on a run until it ends."""

from __future__ import annotations

import os
import sys

from MyoScarSegLib.training.runs.run_process import main

if __name__ == "__main__":
    _status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: tearing down the networks takes a while, in which the run would look as if somebody worked on it.
    os._exit(_status)
