"""Training on streamed images: interrupted anywhere, it ends with the same bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.run_files import CHECKPOINT
from nas.data import DataSettings, load_dataset
from nas.graph.zoo import load_genotype
from nas.storage.checkpoint import load_checkpoint
from nas.train.loop import run_training_loop
from tests.helpers.runs import StopAfter, metrics, same
from tests.helpers.train_settings import SMALL


@pytest.fixture
def photographs(tmp_path: Path) -> DataSettings:
    """Two classes of 9 training and 5 test pictures of different sizes."""
    random = np.random.default_rng(0)
    for part, number in (("train", 9), ("test", 5)):
        for name in ("bright", "dark"):
            folder = tmp_path / "photographs" / part / name
            folder.mkdir(parents=True)
            for index in range(number):
                low = 128 * (name == "bright")
                pixels = random.integers(low, low + 128, (12 + index, 20 - index, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.jpg")
    return DataSettings("folder", str(tmp_path / "photographs"), size=8, stream=True, workers=0, jitter=0.4)


def test_interrupted_and_read_by_other_processes_it_ends_the_same(photographs: DataSettings, tmp_path: Path) -> None:
    """4 steps and 2 evaluation batches an epoch: stopped between steps and during evaluation."""

    def run(folder: str, workers: int, deadline=None, resume=False):
        settings = replace(photographs, workers=workers)
        return run_training_loop(
            load_genotype("darts_v2"),
            load_dataset(settings),
            replace(SMALL, batch_size=4),
            tmp_path / folder,
            augment=settings.augment,
            device=torch.device("cpu"),
            deadline=deadline,
            resume=resume,
        )

    whole = run("whole", 0)
    assert whole.epoch == SMALL.epochs
    places = []
    for steps, workers in ((2, 1), (3, 0), (5, 2)):
        stopped = run("parts", workers, StopAfter(steps), resume=True)
        places.append((stopped.epoch, stopped.step))
    assert places == [(0, 2), (0, 4), (1, 3)]
    run("parts", 1, resume=True)
    saved = [load_checkpoint(tmp_path / folder / CHECKPOINT) for folder in ("whole", "parts")]
    for key in ("weights", "model"):
        assert same(*(checkpoint[key] for checkpoint in saved))
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
