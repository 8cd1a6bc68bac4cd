"""The command line of a search that takes a second."""

TINY = ["space=tiny", "data=digits", "data.limit=64", "channels=2", "cells=3", "batch_size=16", "epochs=1", "threads=1"]
