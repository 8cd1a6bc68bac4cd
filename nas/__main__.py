"""``python -m nas``: the small commands."""

from nas.cli.main import main

if __name__ == "__main__":
    main()
