"""Streamed folders: reproducible pixels for any number of workers, every image once, one-line errors."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.errors import InputError
from nas.data import AugmentSettings, Batches, Dataset, DataSettings, StreamedSet, load_dataset, stream
from nas.data.crops import center_crop
from nas.data.file_sets import IMAGENET_MEAN, IMAGENET_STD

Make = Callable[..., Path]
Settings = Callable[..., DataSettings]
Steps = list[tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture
def dataset(make_folder: Make, folder_settings: Settings) -> Dataset:
    """Return 22 training and 22 test images of 24 x 20 in two classes, streamed as 16 x 16."""
    return streamed(folder_settings(make_folder(number=11, size=(24, 20))))


def streamed(settings: DataSettings, **changes: object) -> Dataset:
    return load_dataset(DataSettings(**(vars(settings) | {"stream": True, "size": 16, "workers": 0} | changes)))


def training(dataset: Dataset, workers: int = 0, **changes: object) -> Batches:
    defaults = {"seed": 0, "stream": "train", "augment": AugmentSettings(0, True, 3)} | changes
    images = StreamedSet(**(vars(dataset.train) | {"workers": workers}))
    return Batches(images, 4, mean=dataset.mean, std=dataset.std, **defaults)


def same(one: Steps, other: Steps) -> bool:
    return len(one) == len(other) and all(
        torch.equal(x1, x2) and torch.equal(y1, y2) for (x1, y1), (x2, y2) in zip(one, other, strict=True)
    )


def test_pixels_do_not_depend_on_the_number_of_workers(dataset: Dataset) -> None:
    before = torch.get_rng_state()
    none, one, two = (list(training(dataset, workers).epoch(3)) for workers in (0, 1, 2))
    assert same(none, one)
    assert same(none, two)
    assert torch.equal(before, torch.get_rng_state())
    assert not multiprocessing.active_children()
    x, y = none[0]
    assert (x.shape, x.dtype, y.dtype) == ((4, 3, 16, 16), torch.float32, torch.int64)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [0, 2, 4, 5])
def test_starting_at_a_step_yields_the_rest_of_the_epoch(dataset: Dataset, start: int, workers: int) -> None:
    assert same(list(training(dataset, workers).epoch(1, start)), list(training(dataset).epoch(1))[start:])


@pytest.mark.parametrize("change", [{"seed": 1}, {"stream": "alphas"}])
def test_seed_stream_and_epoch_change_the_crops(dataset: Dataset, change: dict) -> None:
    one = StreamedSet(**(vars(dataset.train) | {"files": dataset.train.files[:1], "labels": dataset.train.labels[:1]}))
    plain = AugmentSettings(0, False, 0)
    pixels = [
        next(Batches(one, 4, mean=dataset.mean, std=dataset.std, augment=plain, **keys).epoch(epoch))[0]
        for keys, epoch in [
            ({"seed": 0, "stream": "train"}, 0),
            ({"seed": 0, "stream": "train"}, 1),
            ({"seed": 0, "stream": "train"} | change, 0),
        ]
    ]
    assert not torch.equal(pixels[0], pixels[1])
    assert not torch.equal(pixels[0], pixels[2])


def test_training_has_no_duplicates_and_drops_the_incomplete_batch(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    decode = stream.decode_rgb
    monkeypatch.setattr(stream, "decode_rgb", lambda path, *_: (read.append(path), decode(path))[1])
    steps = list(training(dataset).epoch(0))
    assert len(steps) == len(training(dataset)) == 5
    assert len(read) == len(set(read)) == 20
    assert [path.parent.name for path in read] == [dataset.classes[label] for _, y in steps for label in y]


def test_evaluation_yields_every_center_crop_in_order_and_normalized(dataset: Dataset) -> None:
    test = Batches(dataset.test, 4, mean=dataset.mean, std=dataset.std, seed=0, stream="test", shuffle=False)
    steps = list(test.epoch(0))
    assert len(steps) == len(test) == 6
    assert torch.cat([y for _, y in steps]).tolist() == [0] * 11 + [1] * 11
    paths = [dataset.test.folder / os.fsdecode(name) for name in dataset.test.files]
    crops = np.stack([np.asarray(center_crop(Image.open(path), 16)) for path in paths])
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    expected = (torch.tensor(crops).permute(0, 3, 1, 2).double() / 255 - mean) / std
    torch.testing.assert_close(torch.cat([x for x, _ in steps]).double(), expected, rtol=0, atol=1e-5)


def test_limit_and_shapes(make_folder: Make, folder_settings: Settings, tmp_path: Path) -> None:
    dataset = streamed(folder_settings(make_folder(number=5)), limit=4)
    assert dataset.image_shape == (3, 16, 16)
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert len(dataset.test) == 10
    assert dataset.to("meta").train.device.type == "meta"
    assert not (tmp_path / "cache").exists()


def break_file(dataset: Dataset) -> Path:
    broken = dataset.train.folder / os.fsdecode(dataset.train.files[7])
    broken.write_bytes(broken.read_bytes()[:40])
    return broken


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_is_named_in_one_line(dataset: Dataset, workers: int) -> None:
    broken = break_file(dataset)
    with pytest.raises(InputError) as caught:
        list(training(dataset, workers).epoch(0))
    assert str(caught.value).startswith(f"{broken}: cannot be read as an image (")
    assert "\n" not in str(caught.value)
    assert not multiprocessing.active_children()


def test_too_many_pixels_are_refused(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # the images have 480: Pillow only warns
    with pytest.raises(InputError, match="too many pixels; allowed: at most 400"):
        next(training(dataset).epoch(0))


def test_a_killed_worker_is_a_one_line_error(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "decode_rgb", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(InputError, match=r"data\.workers=1: a worker process died; fewer"):
        next(training(dataset, 1).epoch(0))


def test_other_errors_of_a_worker_are_not_changed(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "decode_rgb", lambda *_: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="Caught RuntimeError in DataLoader worker"):
        next(training(dataset, 1).epoch(0))


def test_workers_end_when_an_epoch_is_abandoned(dataset: Dataset) -> None:
    before = set(multiprocessing.active_children())
    epoch = training(dataset, 2).epoch(0)
    next(epoch)
    workers = set(multiprocessing.active_children()) - before
    assert len(workers) == 2
    del epoch
    for process in workers:
        process.join(timeout=20)
        assert not process.is_alive()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stream": "yes"}, r"data\.stream='yes': must be true or false"),
        ({"workers": -1}, r"data\.workers=-1: must be a whole number of processes, 0 or more"),
        ({"workers": 2.0}, r"data\.workers=2\.0"),
        ({"jitter": 1.5}, r"data\.jitter=1\.5: must be a number in 0\.\.1"),
        ({"jitter": True}, r"data\.jitter=True"),
        ({"jitter": float("nan")}, r"data\.jitter=nan"),
        ({"size": None}, r"data\.stream=true: needs data\.size=N"),
        ({"name": "cifar10"}, r"data\.stream=true: data=cifar10 is held in memory; allowed: data=folder"),
        ({"stream": False, "jitter": 0.4}, r"data\.jitter=0\.4: needs data\.stream=true"),
        ({"cutout": 17}, r"data\.cutout=17: must be at most the side of the 16x16 images"),
    ],
)
def test_invalid_settings_are_refused(
    make_folder: Make, folder_settings: Settings, changes: dict, message: str
) -> None:
    settings = folder_settings(make_folder(number=1))
    with pytest.raises(InputError, match=f"^{message}"):
        streamed(settings, **changes)


def test_a_search_refuses_streaming(folder_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^data\.stream=true: a search holds its images in memory"):
        folder_settings(tmp_path, stream=True, size=16).check_in_memory()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_crops_match_the_cpu(dataset: Dataset) -> None:
    plain = AugmentSettings(0, False, 0)  # flips are sampled on the device
    cpu = training(dataset, augment=plain)
    cuda = training(dataset.to("cuda"), 2, augment=plain)
    for (x1, y1), (x2, y2) in zip(cpu.epoch(0), cuda.epoch(0), strict=True):
        assert x2.device.type == y2.device.type == "cuda"
        torch.testing.assert_close(x2.cpu(), x1)
        assert torch.equal(y2.cpu(), y1)
