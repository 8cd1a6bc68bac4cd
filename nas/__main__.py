"""``python -m nas``: the program ``nas``."""

from nas.cli.main import main

if __name__ == "__main__":
    main()
