"""``python -m nas profile``: where the time of a search step goes, as a table, as JSON and as a trace."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.cli.config import SearchConfig
from nas.cli.hydra_entry import compose
from nas.cli.run_folder import unused_folder
from nas.cli.setup import setup_process
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.data import load_dataset, search_split
from nas.ops import load_space
from nas.profiling.step_time import Profile, profile_search
from nas.runtime.environment import environment
from nas.storage.atomic_files import error_reason, write_file

REPORT, TRACE = "profile.json", "trace.json"


def profile(settings: Sequence[str], steps: int, output: Path | None) -> None:
    """Profile ``steps`` steps of the search that ``settings`` (key=value) describe; the files go to ``output``."""
    config = compose("search", SearchConfig, settings)
    _check(config, steps)
    device = setup_process(config)
    space = load_space(config.space)
    dataset = load_dataset(config.data)
    search_split(len(dataset.train), config.seed, config.train_fraction)  # now, should a part be empty
    folder = unused_folder(Path("runs") / f"profile-{config.title}-{config.execution}") if output is None else output
    _make(folder)
    side = "x".join(map(str, dataset.image_shape[1:]))
    sizes = f"C={config.channels}, {config.cells} cells, batch {config.batch_size}, {side}"
    how = f"{config.precision}, {config.execution}, order {config.order}, {device}"
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch's profiler would speak on standard error
    found = profile_search(
        space,
        dataset,
        config.settings,
        augment=config.data.augment,
        device=device,
        steps=steps,
        trace=folder / TRACE,
    )
    known = environment()
    threads = f"{known['threads']} thread{'s' if known['threads'] > 1 else ''}"
    print(f"{space.name} on {dataset.name}, {sizes}, {how}, {threads}")
    print("\n".join(table(found)))
    write_file(folder / REPORT, json.dumps(_report(found, config, known), indent=1).encode())
    print(f"{folder / REPORT}; {folder / TRACE}, of the last step, for Perfetto (ui.perfetto.dev) or chrome://tracing")


def table(found: Profile) -> list[str]:
    """What was found, as the lines that the command prints."""
    width = max(len(row.name) for row in found.rows)
    lines = [f"{'':{width}} {'forward ms':>12} {'backward ms':>12} {'both ms':>12} {'share':>8}"]
    for row in found.rows:
        cells = " ".join(f"{_milliseconds(value):>12}" for value in (row.forward, row.backward, row.seconds))
        lines.append(f"{row.name:{width}} {cells} {row.seconds / found.profiled:>8.1%}")
    lines.append(f"{'step':{width}} {'':>25} {_milliseconds(found.profiled):>12} {1:>8.1%}")
    fastest, slowest = min(found.steps), max(found.steps)
    spread = f"{found.step:.3f} s ({fastest:.3f}–{slowest:.3f}) without the profiler, {found.profiled:.3f} s under it"
    work = f"{found.cost.alpha:,} multiply-adds an image in the alpha step, {found.cost.weight:,} in the weight step"
    speed = f"{found.speed / 1e9:.1f} GFLOP/s"
    peak = f"{found.speed / found.peak:.1%} of the {found.peak / 1e9:.1f} GFLOP/s of a large matrix product"
    return [*lines, f"a step: {spread}", work, f"{speed}, {peak}", f"data {found.data_share:.2%} of the step"]


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.1f}"


def _check(config: SearchConfig, steps: int) -> None:
    """Refuse what a profile would not heed."""
    if steps < 1:
        raise InputError(f"--steps {steps}: must be at least 1")
    for key, value, default in (
        ("resume", config.resume, False),
        ("max_minutes", config.max_minutes, None),
        ("run.dir", config.run.dir, None),
    ):
        if value != default:
            raise InputError(f"{key}={value}: a profile takes --steps N of a new search, and --output FOLDER for files")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"--output {format_value(folder)}: cannot be made ({error_reason(error)})") from error


def _report(found: Profile, config: SearchConfig, known: dict[str, Any]) -> dict[str, Any]:
    return {
        "rows": [{**asdict(row), "share": row.seconds / found.profiled} for row in found.rows],
        "profiled_step_seconds": found.profiled,
        "step_seconds": {"median": found.step, "each": found.steps},
        "data_share": found.data_share,
        "multiply_adds_per_image": asdict(found.cost),
        "batch_size": found.batch_size,
        "gflops": found.speed / 1e9,
        "peak_gflops": found.peak / 1e9,
        "config": asdict(config),
        "environment": known,
    }
