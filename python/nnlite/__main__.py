"""`python -m nnlite`: the `nnlite` command."""

import sys

from nnlite.cli import main

if __name__ == "__main__":
    sys.exit(main())
