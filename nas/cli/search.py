"""``search.py``: search a space for its normal and reduction cell."""

import time

from nas.cli.config import SearchConfig
from nas.cli.entry import run_command
from nas.cli.process import prepare
from nas.cli.report import how_to_go_on, report_search
from nas.cli.runfolder import describe_run, new_folder, take_up
from nas.core.deadline import Deadline
from nas.data import load_dataset, search_split
from nas.engine.memory import require_memory
from nas.engine.search import search
from nas.models.supernet import Supernet
from nas.ops import load_space

STARTED = time.monotonic()


def main() -> None:
    """The console command."""
    run_command("search", SearchConfig, run)


def run(config: SearchConfig, overrides: list[str]) -> None:
    """One search, from its configuration to its report. What cannot work is said before anything is written."""
    taken_up = take_up(config, overrides)
    config, folder = taken_up or (config, new_folder(config))
    device = prepare(config)
    space = load_space(config.space)
    dataset = load_dataset(config.data)
    sizes = f"space={config.space}, channels={config.channels}, cells={config.cells}"
    require_memory(lambda: Supernet(space, config.channels, config.cells, dataset.num_classes), device, sizes)
    search_split(len(dataset.train), config.seed, config.train_fraction)  # now, should a part be empty
    describe_run(config, folder)
    print(f"searching {space.name} on {dataset.name} with seed {config.seed} on {device}; run folder: {folder}")
    result = search(
        space,
        dataset,
        config.settings,
        folder,
        augment=config.data.augment,
        device=device,
        deadline=Deadline(config.max_minutes, STARTED),
        resume=taken_up is not None,
    )
    if result.finished:
        report_search(result, dataset, folder)
    else:
        how_to_go_on(result, config, folder)
