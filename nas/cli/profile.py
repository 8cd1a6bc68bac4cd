"""``python -m nas profile``: the time of a search step by operator, as a table, JSON and a trace."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.cli.config import SearchConfig
from nas.cli.hydra_entry import compose
from nas.cli.method_settings import apply_method
from nas.cli.run_folder import unused_folder
from nas.cli.setup import setup_process
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.json_text import format_json
from nas.core.terminal import print_lines
from nas.data import load_dataset, search_split
from nas.ops import load_space
from nas.profiling.step_time import Profile, profile_search
from nas.runtime.environment import environment
from nas.storage.atomic_files import error_reason, write_file

_REPORT, _TRACE = "profile.json", "trace.json"


def profile_command(settings: Sequence[str], steps: int, output: Path | None) -> None:
    """Profile ``steps`` steps of the search with ``settings`` (key=value); write the files to ``output``."""
    config = apply_method(compose("search", SearchConfig, settings), settings)
    _check_settings(config, steps)
    device = setup_process(config)
    space = load_space(config.space)
    dataset = load_dataset(config.data)
    search_split(len(dataset.train), config.seed, config.train_fraction)  # raises now if a part is empty
    folder = unused_folder(Path("runs") / f"profile-{config.title}-{config.execution}") if output is None else output
    _create(folder)
    side = "x".join(map(str, dataset.image_shape[1:]))
    sizes = f"C={config.channels}, {config.cells} cells, batch {config.batch_size}, {side}"
    execution = f"{config.precision}, {config.execution}, order {config.order}, {device}"
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # or torch's profiler prints to stderr
    profile = profile_search(
        space,
        dataset,
        config.settings,
        augment=config.data.augment,
        device=device,
        steps=steps,
        trace=folder / _TRACE,
    )
    record = environment()
    threads = f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}"
    print_lines(f"{space.name} on {dataset.name}, {sizes}, {execution}, {threads}")
    print_lines(*_table(profile))
    write_file(folder / _REPORT, format_json(_report(profile, config, record), indent=1).encode())
    print_lines(
        f"{folder / _REPORT}; {folder / _TRACE}: the last step, for Perfetto (ui.perfetto.dev) or chrome://tracing"
    )


def _table(profile: Profile) -> list[str]:
    """Return the lines that the command prints."""
    width = max(len(row.name) for row in profile.rows)
    lines = [f"{'':{width}} {'forward ms':>12} {'backward ms':>12} {'both ms':>12} {'share':>8}"]
    for row in profile.rows:
        cells = " ".join(f"{_milliseconds(value):>12}" for value in (row.forward, row.backward, row.seconds))
        lines.append(f"{row.name:{width}} {cells} {row.seconds / profile.profiled:>8.1%}")
    lines.append(f"{'step':{width}} {'':>25} {_milliseconds(profile.profiled):>12} {1:>8.1%}")
    fastest, slowest = min(profile.steps), max(profile.steps)
    time = f"{profile.step:.3f} s ({fastest:.3f}–{slowest:.3f}) without profiler, {profile.profiled:.3f} s with it"
    cost = profile.cost
    work = f"{cost.alpha:,} multiply-adds per image in the alpha step, {cost.weight:,} in the weight step"
    speed = f"{profile.speed / 1e9:.1f} GFLOP/s"
    peak = f"{profile.speed / profile.peak:.1%} of the {profile.peak / 1e9:.1f} GFLOP/s of a large matrix product"
    return [*lines, f"a step: {time}", work, f"{speed}, {peak}", f"data {profile.data_share:.2%} of the step"]


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.1f}"


def _check_settings(config: SearchConfig, steps: int) -> None:
    """Raise :class:`InputError` for settings that a profile would ignore."""
    if steps < 1:
        raise InputError(f"--steps {steps}: must be at least 1")
    for key, value, default in (
        ("resume", config.resume, False),
        ("max_minutes", config.max_minutes, None),
        ("run.dir", config.run.dir, None),
    ):
        if value != default:
            raise InputError(f"{key}={value}: has no effect on a profile; allowed: --steps N and --output FOLDER")


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"--output {format_value(folder)}: cannot be created ({error_reason(error)})") from error


def _report(profile: Profile, config: SearchConfig, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "rows": [{**asdict(row), "share": row.seconds / profile.profiled} for row in profile.rows],
        "profiled_step_seconds": profile.profiled,
        "step_seconds": {"median": profile.step, "each": profile.steps},
        "data_share": profile.data_share,
        "multiply_adds_per_image": asdict(profile.cost),
        "batch_size": profile.batch_size,
        "gflops": profile.speed / 1e9,
        "peak_gflops": profile.peak / 1e9,
        "config": asdict(config),
        "environment": record,
    }
