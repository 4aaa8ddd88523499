"""``python -m MyoScarSegLib`` is the command ``myoscarseg``."""

import sys

from MyoScarSegLib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
