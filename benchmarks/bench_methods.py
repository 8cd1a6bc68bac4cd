"""Seconds per search step of search methods beside DARTS: an alpha step and a weight step on random images.

    python benchmarks/bench_methods.py                       darts, gdas and pc_darts: C=16, 8 cells, batch 64
    python benchmarks/bench_methods.py --method gdas gdas+pc_darts --repeats 20 --save

All methods take a step by turns, so that a busy moment of the machine slows all of them; "darts / method" is the median
of the ratios of each turn. All have the settings of DARTS, the same batches, and alphas that do not rest.
``bench_search_memory.py --method`` measures their memory. ``--save`` writes the result to ``benchmarks/results/``.
"""

import argparse

import torch
from timing import add_common_options, paper_settings, random_batch, save, seconds, set_threads, shown, summary

import nas
from nas.engine.device import choose_device
from nas.models.supernet import EXECUTIONS
from nas.runtime.gc import frozen_gc
from nas.search.settings import SearchSettings
from nas.search.state import SearchState, init_search_state
from nas.search.steps import alpha_step, weight_step


def main() -> None:
    """Measure the methods of the command line and print a table."""
    options = _parser().parse_args()
    set_threads(options)
    device = choose_device(options.device)
    methods = ["darts", *(name for name in options.method if name != "darts")]
    times: dict[str, list[float]] = {name: [] for name in methods}
    searches = {name: _search(options, name, device) for name in methods}
    with frozen_gc():  # as a search does
        for turn in range(-options.warmup, options.repeats):
            batches = random_batch(options.batch, device), random_batch(options.batch, device)
            for name, (state, settings) in searches.items():
                spent = seconds(_step, state, settings, batches, device=device)
                state.step += 1  # noise differs by step
                if turn >= 0:
                    times[name].append(spent)
    rows = []
    print(f"{options.space}, C={options.channels}, {options.cells} cells, batch {options.batch}, {device}")
    print(f"{'method':>16} {'both steps s':>24} {'darts / method':>24}")
    for name in methods:
        ratios = summary([first / own for first, own in zip(times["darts"], times[name], strict=True)])
        rows.append({"method": name, "both": summary(times[name]), "darts_by_method": ratios})
        print(f"{name:>16} {shown(summary(times[name])):>24} {shown(ratios, 2):>24}")
    if options.save is not None:
        save("methods", options, rows)


def _search(options: argparse.Namespace, method: str, device: torch.device) -> tuple[SearchState, SearchSettings]:
    settings = paper_settings(
        batch_size=options.batch,
        channels=options.channels,
        cells=options.cells,
        precision=options.precision[0],
        execution=options.execution,
        method=method,
    )
    state = init_search_state(nas.load_space(options.space), settings, 10, device)
    state.supernet.train()
    return state, settings


def _step(state: SearchState, settings: SearchSettings, batches: tuple[tuple[torch.Tensor, torch.Tensor], ...]) -> None:
    train, valid = batches
    alpha_step(state, settings, train, valid, 0.025)
    weight_step(state, settings, train, 0.025)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", nargs="+", default=["gdas", "pc_darts"], help="beside darts")
    parser.add_argument("--space", default="darts")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--execution", default="fused", choices=EXECUTIONS)
    add_common_options(parser)
    return parser


if __name__ == "__main__":
    main()
