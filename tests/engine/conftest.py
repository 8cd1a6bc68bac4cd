"""Running a small search."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_settings import SETTINGS

import nas
from nas.core.deadline import Deadline
from nas.data import AugmentSettings, DataSettings, load_dataset
from nas.engine.search import SearchResult, search


@pytest.fixture(scope="session")
def digits():
    return load_dataset(DataSettings("digits", limit=96, pad=1, flip=False))


@pytest.fixture
def run_search(digits):
    def run(folder: Path, deadline: Deadline | None = None, resume: bool = False, **changes: object) -> SearchResult:
        return search(
            nas.load_space("tiny"),
            digits,
            replace(SETTINGS, **changes),
            folder,
            augment=AugmentSettings(pad=1, flip=False),
            device=torch.device("cpu"),
            deadline=deadline,
            resume=resume,
        )

    return run
