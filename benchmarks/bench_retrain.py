"""Images per second of retraining: the training step with auxiliary head and drop-path, on random images.

    python benchmarks/bench_retrain.py                               darts_v2, C=36, 20 cells, batch 96
    python benchmarks/bench_retrain.py --device cuda --precision fp32 bf16 --channels-last off on --compile off on

Prints a table of medians with the slowest and the fastest repeat, the time of the first step (compilation included),
and the time that 600 epochs of 50,000 images would take; ``--save`` writes it to ``benchmarks/results/``, with date
and hardware.
"""

import argparse
import itertools
from typing import Any

import torch
from timing import add_common_options, peak_memory, random_batch, save, seconds, set_threads, shown, summary

import nas
from nas.engine.compile import compile_network
from nas.engine.device import choose_device
from nas.engine.optimizer import WeightSettings
from nas.models.execution import NETWORK_EXECUTIONS
from nas.train.network_spec import NetworkSpec
from nas.train.settings import TrainSettings
from nas.train.state import init_train_state
from nas.train.step import train_step

EPOCHS, IMAGES = 600, 50_000  # the paper's retraining on CIFAR-10 (DARTS, arXiv 1806.09055, §A.2.1)


def main() -> None:
    """Measure the cases of the command line and print a table."""
    options = _parser().parse_args()
    set_threads(options)
    device = choose_device(options.device)
    print(
        f"{options.cell}, C={options.channels}, {options.cells} cells, batch {options.batch}, {device}, "
        f"{torch.get_num_threads()} CPU threads"
    )
    named = f"{'precision':>9} {'last':>4} {'compiled':>8} {'execution':>9}"
    print(f"{named} {'images/s':>24} {'first step s':>12} {'600 epochs h':>12}")
    rows = []
    choices = (options.precision, options.channels_last, options.compile, options.execution)
    for precision, last, compile_, execution in itertools.product(*choices):
        torch.compiler.reset()
        row = measure(options, _settings(options, precision, last == "on", compile_ == "on", execution), device)
        rows.append(row)
        speed, first, hours = shown(row["images_per_second"], 2), row["first_step"], row["hours_600_epochs"]
        named = f"{precision:>9} {last:>4} {compile_:>8} {execution:>9}"
        print(f"{named} {speed:>24} {first:>12.1f} {hours:>12.1f}", flush=True)
        if "peak_gib" in row:
            print(f"          peak GPU memory {row['peak_gib']:.2f} GiB")
    if options.save is not None:
        save("retrain", options, rows)


def measure(options: argparse.Namespace, settings: TrainSettings, device: torch.device) -> dict[str, Any]:
    """Return median and extremes of the images per second after the warm-up, and the seconds of the first step."""
    torch.backends.cudnn.benchmark = True  # as the command does
    state = init_train_state(_network_spec(settings, options.cell), settings, device)
    state.model.train()
    state.epoch = EPOCHS // 2  # halfway, for drop-path
    forward = compile_network(state.model) if settings.compile else state.model
    times = []
    for _ in range(options.warmup + options.repeats):
        batch = random_batch(settings.batch_size, device)
        times.append(seconds(train_step, state, settings, batch, settings.weights.lr, forward, device=device))
        state.step += 1
    measured = times[options.warmup :]
    speed = summary([settings.batch_size / t for t in measured])
    return {
        "precision": settings.precision,
        "channels_last": settings.channels_last,
        "compile": settings.compile,
        "execution": settings.execution,
        "step": summary(measured),
        "images_per_second": speed,
        "first_step": times[0],
        "hours_600_epochs": EPOCHS * IMAGES / speed["median"] / 3600,
        **peak_memory(device),
    }


def _settings(
    options: argparse.Namespace, precision: str, channels_last: bool, compile_: bool, execution: str
) -> TrainSettings:
    """Return the paper's values (``conf/retrain.yaml``) at the sizes of the command line."""
    return TrainSettings(
        epochs=EPOCHS,
        batch_size=options.batch,
        channels=options.channels,
        cells=options.cells,
        stem="cifar",
        drop_path=0.2,
        auxiliary_weight=0.4,
        label_smoothing=0.0,
        warmup_epochs=0,
        lr_scaling=False,
        ema=None,
        eval_every=1,
        seed=0,
        precision=precision,
        channels_last=channels_last,
        compile=compile_,
        execution=execution,
        weights=WeightSettings(lr=0.025, lr_min=0.0, momentum=0.9, weight_decay=3e-4, clip_norm=5.0),
    )


def _network_spec(settings: TrainSettings, cell: str) -> NetworkSpec:
    """Return the network for images of CIFAR-10's size; their mean and std are not used here."""
    classes = tuple(str(i) for i in range(10))
    shape, mean, std = (3, 32, 32), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    sizes = (settings.channels, settings.cells, settings.stem, settings.auxiliary)
    return NetworkSpec(nas.load_genotype(cell), *sizes, "random", classes, shape, mean, std)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="darts_v2")
    parser.add_argument("--channels", type=int, default=36)
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--compile", nargs="+", default=["off"], choices=["off", "on"])
    parser.add_argument("--execution", nargs="+", default=["fused"], choices=NETWORK_EXECUTIONS)
    parser.add_argument("--channels-last", nargs="+", default=["off"], choices=["off", "on"])
    add_common_options(parser)
    return parser


if __name__ == "__main__":
    main()
