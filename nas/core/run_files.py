"""The names of the files in a run's folder."""

CONFIG = "config.yaml"  # the resolved settings
ENVIRONMENT = "environment.json"  # command, versions, hardware: one entry each time the run was started or resumed
LOCK = "lock"
CHECKPOINT = "checkpoint.pt"  # the newest; checkpoint-1.pt is the one before, and so on
METRICS = "metrics.jsonl"  # a row an epoch
EVENTS = "tensorboard"  # a folder
RESULT = "result.json"  # of a finished run

GENOTYPE = "genotype.yaml"  # the cells that a search stands for now, or that a training trains
GENOTYPES = "genotypes"  # a folder: the cells after each epoch of a search
ALPHAS = "alphas.jsonl"  # the alphas after each epoch of a search

BEST = "best.pt"  # of all evaluated epochs of a training; chosen on the test set
WEIGHTS = "weights.safetensors"  # of a finished training
