"""Upper bounds on sizes; anything larger is a mistake or an attack."""

MAX_CHANNELS = 100_000
MAX_CELLS = 500
MAX_CLASSES = 100_000
MAX_SIDE = 4096  # pixels of an image
MAX_WORKERS = 256  # processes
MAX_CHECKPOINT = 16_000_000_000  # bytes; DARTS' supernet has 30 MB
MAX_METRICS = 256_000_000  # bytes: 100,000 epochs
MAX_SESSIONS = 500  # kept in environment.json
