"""Train the network of a genotype: ``python retrain.py cell=darts_v2``; settings: ``--help``."""

from nas.cli.retrain import main

if __name__ == "__main__":
    main()
