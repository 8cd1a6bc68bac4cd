"""Search for a normal and a reduction cell: ``python search.py space=darts+sandglass``; settings: ``--help``."""

from nas.cli.search import main

if __name__ == "__main__":
    main()
