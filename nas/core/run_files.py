"""Names of the files in a run folder."""

CONFIG = "config.yaml"  # the resolved settings
SETTINGS = "settings.json"  # instead, the settings of a run from Python
ENVIRONMENT = "environment.json"  # command, versions, hardware: one entry per session
FINGERPRINT = "fingerprint.json"  # digests of data, operators, space, kernels and torch
LOCK = "lock"
CHECKPOINT = "checkpoint.pt"  # the newest; checkpoint-1.pt is the one before it, and so on
METRICS = "metrics.jsonl"  # one row per epoch
EVENTS = "tensorboard"  # a folder
RESULT = "result.json"  # what has come out of the run, and how it ended

GENOTYPE = "genotype.yaml"  # the cells that the search derives at present, or that the training trains
GENOTYPES = "genotypes"  # a folder: the cells after each epoch of a search
ALPHAS = "alphas.jsonl"  # the alphas after each epoch of a search
JUDGED = "cells.jsonl"  # the cells that a search has trained by themselves, with their accuracies

BEST = "best.pt"  # the best evaluated epoch of a training, chosen on the test set
WEIGHTS = "weights.safetensors"  # of a finished training
