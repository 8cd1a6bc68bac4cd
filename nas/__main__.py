"""``python -m nas``: the small commands."""

import sys

from nas.cli.small import main

if __name__ == "__main__":
    sys.exit(main())
