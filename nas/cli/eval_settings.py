"""The settings that an evaluation has a use for."""

EVAL_SETTINGS = (
    "eval",
    "output",
    "data",
    "ops",
    "device",
    "threads",
    "precision",
    "channels_last",
    "batch_size",
    "seed",
    "resume_anyway",
)
