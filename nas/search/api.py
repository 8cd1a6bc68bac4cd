"""A search from Python."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nas.core.errors import InputError
from nas.core.run_names import run_name, with_method
from nas.core.terminal import print_lines
from nas.costs.cpu_bf16 import require_bf16_gradients
from nas.costs.expected import check_objective
from nas.costs.memory_limit import require_memory
from nas.data.augment import AugmentSettings
from nas.data.dataset import Dataset
from nas.data.loaders import LoaderPair, search_source
from nas.data.split import search_split
from nas.data.stream import StreamedSet
from nas.engine.device import choose_device
from nas.engine.named_losses import check_data
from nas.engine.python_run import RunOptions, python_run, read_augment, split_settings
from nas.engine.user_functions import Loss, Metric, checked_loss, recorded_loss, split_functions
from nas.graph.space import Space
from nas.models.skeletons import check_search_cells
from nas.ops.registry import load_space
from nas.runtime.deadline import Deadline
from nas.search.loop import run_search_loop
from nas.search.methods import method_settings
from nas.search.result import SearchResult, write_search_result
from nas.search.settings import SearchSettings
from nas.search.state import build_supernet


def run_search(
    space: Space | str,
    data: object,
    *,
    method: str = "darts",
    folder: str | Path | None = None,
    augment: AugmentSettings | Mapping[str, Any] | None = None,
    loss: Loss | str | None = None,
    metric: Metric | str | None = None,
    num_classes: int | None = None,
    verbose: bool = True,
    **settings: Any,
) -> SearchResult:
    """Search ``space`` on ``data``: ``nas.run_search("darts+sandglass", (images, labels), epochs=10, channels=8)``.

    ``data`` is a name, a ``nas.Dataset``, a torch ``Dataset`` of (image, label), (images, labels) as tensors
    (N, C, H, W), uint8 or float, and (N,), or (train, test) of these: the training images are split between weights and
    alphas. Or two DataLoaders, for weights and alphas, whose batches are taken as they come: such a search does not
    resume exactly, and needs ``num_classes`` if the loaders do not tell it. Images are normalized by their own mean and
    deviation, and not augmented unless ``augment`` says so (``AugmentSettings``).

    ``settings`` are the fields of ``SearchSettings``, the paper's values by default (``epochs=50``, ``channels=16``,
    ``cells=8``, ``weights={"lr": 0.025}``, …), and of ``RunOptions`` (``resume``, ``device``, ``max_minutes``, …).
    ``loss(logits, labels)`` replaces the cross-entropy, or names another (``"bce"``, ``"mse"``, …); ``metric(logits,
    labels)``, or a name, is a number that is shown and recorded each epoch for the alphas' images. ``folder`` None is a
    new one under ``runs/``. Ctrl-C stops after the step and a checkpoint. Raises :class:`InputError`, and
    :class:`DivergedError` if numbers are not finite.
    """
    settings, loss, metric = split_functions(settings, loss, metric)
    chosen, options = split_settings({**settings, **_with_method(method, settings)}, SearchSettings)
    space = load_space(space) if isinstance(space, str) else space
    source = search_source(data, num_classes, verbose)
    return _search(space, source, chosen, options, folder, read_augment(augment), loss, metric, verbose)


def _with_method(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that ``method`` changes and the caller does not give, with the method itself."""
    groups = {key: _group(value) for key, value in settings.items()}
    typed = {*settings, *(f"{key}.{name}" for key, group in groups.items() for name in group)}
    changed: dict[str, Any] = {"method": method}
    for key, value in method_settings(method, typed).items():
        group, _, name = key.rpartition(".")
        if group:
            changed[group] = {**groups.get(group, {}), **changed.get(group, {}), name: value}
        else:
            changed[key] = value
    return changed


def _group(value: object) -> dict[str, Any]:
    """Return the settings that the caller gave as a group: a dictionary, or a dataclass, which gives all of them."""
    if isinstance(value, Mapping):
        return dict(value)
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else {}


def _search(
    space: Space,
    source: Dataset | LoaderPair,
    settings: SearchSettings,
    options: RunOptions,
    folder: str | Path | None,
    augment: AugmentSettings | None,
    loss: Loss | None,
    metric: Metric | None,
    verbose: bool,
) -> SearchResult:
    device = choose_device(options.device)
    _check(space, source, settings, augment, device, loss is not None)
    title = run_name(with_method(space.name, settings.method), source.name, settings.seed)
    names = {"function": "run_search", "space": space.name, "data": source.name}
    own = {"augment": augment and asdict(augment), "loss": recorded_loss(settings.loss, loss)}
    with python_run(title, folder, options.resume, {**names, **asdict(settings), **own}) as run:
        if verbose:
            print_lines(f"searching {space.name} on {source.name} on {device}; run folder: {run.folder}")
        result = run_search_loop(
            space,
            source,
            settings,
            run.folder,
            augment=augment,
            device=device,
            deadline=Deadline(options.max_minutes, asked=run.interrupt.asked),
            resume=run.resumed,
            fault_tolerance=options,
            loss=loss and checked_loss(loss),
            metric=metric,
            verbose=verbose,
        )
        run.stop_if_interrupted(result.finished)
        if result.finished:
            write_search_result(result, run.folder)
    return result


def _check(
    space: Space,
    source: Dataset | LoaderPair,
    settings: SearchSettings,
    augment: AugmentSettings | None,
    device: torch.device,
    own_loss: bool,
) -> None:
    """Raise :class:`InputError` before any work starts if space, data and settings do not fit."""
    check_search_cells(space, settings.cells)
    check_objective(settings.objective, space)
    check_data(source, None if own_loss else settings.loss)
    if isinstance(source, Dataset):
        if isinstance(source.train, StreamedSet):
            raise InputError(f"data={source.name}: is streamed; a search holds its images in memory")
        if augment is not None:
            augment.check_fits(*source.image_shape[1:])
        search_split(len(source.train), settings.seed, settings.train_fraction)
    elif augment is not None:
        raise InputError("augment: has no effect on DataLoaders; augment in their datasets, or leave it out")
    named = f"channels={settings.channels}, cells={settings.cells}"
    build = partial(build_supernet, space, settings, source.num_classes, source.image_shape[0])
    model = require_memory(build, device, named)
    require_bf16_gradients(model, device, settings.precision, source.image_shape, stem="cifar")
