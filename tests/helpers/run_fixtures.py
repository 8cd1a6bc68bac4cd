"""Fixtures that run a small search and a small retraining."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nas
from nas.data import AugmentSettings, DataSettings, load_dataset
from nas.engine.fault_tolerance import FaultTolerance
from nas.graph.zoo import load_genotype
from nas.runtime.deadline import Deadline
from nas.search.loop import run_search_loop as search
from nas.search.result import SearchResult
from nas.train.loop import run_training_loop as train
from nas.train.state import TrainState
from tests.helpers.search_settings import SETTINGS
from tests.helpers.train_settings import SMALL


@pytest.fixture(scope="session")
def digits():
    return load_dataset(DataSettings("digits", limit=96, pad=1, flip=False))


@pytest.fixture
def run_search(digits):
    def run(
        folder: Path,
        deadline: Deadline | None = None,
        resume: bool = False,
        fault_tolerance: FaultTolerance | None = None,
        space: str = "tiny",
        **changes: object,
    ) -> SearchResult:
        return search(
            nas.load_space(space),
            digits,
            replace(SETTINGS, **changes),
            folder,
            augment=AugmentSettings(pad=1, flip=False),
            device=torch.device("cpu"),
            deadline=deadline,
            resume=resume,
            fault_tolerance=fault_tolerance,
        )

    return run


@pytest.fixture
def run_training(digits):
    def run(
        folder: Path,
        deadline: Deadline | None = None,
        resume: bool = False,
        cell: str = "darts_v2",
        fault_tolerance: FaultTolerance | None = None,
        **changes: object,
    ) -> TrainState:
        return train(
            load_genotype(cell),
            digits,
            replace(SMALL, **changes),
            folder,
            augment=AugmentSettings(pad=1, flip=False, cutout=2),
            device=torch.device("cpu"),
            deadline=deadline,
            resume=resume,
            fault_tolerance=fault_tolerance,
        )

    return run
