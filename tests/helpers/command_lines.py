"""Command lines of small searches, and the folder of the commands."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TINY = [
    "space=tiny",
    "data=digits",
    "data.limit=64",
    "channels=2",
    "cells=3",
    "batch_size=16",
    "epochs=1",
    "threads=1",
]  # a second
LONG = [*TINY, "data.limit=400", "batch_size=32", "epochs=3"]  # 7 steps an epoch
FOREVER = [*LONG, "epochs=500"]
