"""Sizes beyond which a network is taken for a mistake, or for malice, and not begun."""

MAX_CHANNELS = 100_000
MAX_CELLS = 500
MAX_CLASSES = 100_000
MAX_SIDE = 4096  # of an image, pixels
MAX_WORKERS = 256  # processes
