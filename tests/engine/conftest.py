"""Running a small search, and a small retraining."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_settings import SETTINGS
from train_settings_small import SMALL

import nas
from nas.core.deadline import Deadline
from nas.data import AugmentSettings, DataSettings, load_dataset
from nas.engine.safety import Safety
from nas.engine.search import SearchResult, search
from nas.engine.train import train
from nas.engine.train_state import TrainState
from nas.graph.zoo import load_genotype


@pytest.fixture(scope="session")
def digits():
    return load_dataset(DataSettings("digits", limit=96, pad=1, flip=False))


@pytest.fixture
def run_search(digits):
    def run(
        folder: Path,
        deadline: Deadline | None = None,
        resume: bool = False,
        safety: Safety | None = None,
        **changes: object,
    ) -> SearchResult:
        return search(
            nas.load_space("tiny"),
            digits,
            replace(SETTINGS, **changes),
            folder,
            augment=AugmentSettings(pad=1, flip=False),
            device=torch.device("cpu"),
            deadline=deadline,
            resume=resume,
            safety=safety,
        )

    return run


@pytest.fixture
def run_training(digits):
    def run(
        folder: Path,
        deadline: Deadline | None = None,
        resume: bool = False,
        cell: str = "darts_v2",
        safety: Safety | None = None,
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
            safety=safety,
        )

    return run
