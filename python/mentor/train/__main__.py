"""Entry point of ``python -m mentor.train``."""

import sys

from mentor.train.app import main

if __name__ == "__main__":
    sys.exit(main())
