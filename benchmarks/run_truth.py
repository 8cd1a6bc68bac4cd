"""The searches of the comparison on NAS-Bench-201: every method with every seed of a protocol, one after the other.

    python benchmarks/run_truth.py --root cifar10-images --out runs/truth
    python benchmarks/run_truth.py --root cifar10-images --out runs/truth --only gdas darts --seeds 0

``--root`` is the folder of images, ``ROOT/train/CLASS/*`` and ``ROOT/test/CLASS/*``. A repeated call skips finished
searches and resumes a stopped one. Each search is a process of its own at the lowest priority; the runs are
``OUT/METHOD-seedN``. The first search that fails, or is stopped by a signal, ends the whole.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nas.reports.run_folder import is_finished
from nas.storage.yaml_file import read_mapping

PROTOCOL = Path(__file__).parent / "truth" / "protocol.yaml"
SEARCH = Path(__file__).parent.parent / "search.py"


def main() -> None:
    """Run the searches that the command line selects."""
    parser = _parser()
    options = parser.parse_args()
    protocol = read_mapping(options.protocol)
    chosen = options.only or list(protocol["methods"])
    if unknown := set(chosen) - set(protocol["methods"]):
        parser.error(f"--only {' '.join(sorted(unknown))}: allowed: {', '.join(protocol['methods'])}")
    for name, seed, settings in planned_searches(protocol, chosen, options.seeds):
        folder = options.out / f"{name}-seed{seed}"
        if is_finished(folder):
            print(f"{folder}: finished", flush=True)
            continue
        paths = [f"data.root={options.root}", f"data.cache={options.out / 'cache'}", f"run.dir={folder}", "resume=true"]
        command = ["nice", "-n", "19", sys.executable, str(SEARCH), *settings, *paths]
        print(" ".join(command), flush=True)
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(code)


def planned_searches(
    protocol: dict[str, Any], chosen: list[str], seeds: list[int] | None = None
) -> Iterator[tuple[str, int, list[str]]]:
    """Yield (name, seed, settings as ``key=value``) of each search of the protocol's ``chosen`` methods."""
    for seed in seeds or protocol["seeds"]:
        for name in (name for name in protocol["methods"] if name in chosen):
            settings = protocol["settings"] | protocol["methods"][name] | {"seed": seed}
            yield name, seed, [f"{key}={value}" for key, value in settings.items()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the images, in one folder per class")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--protocol", type=Path, default=PROTOCOL)
    parser.add_argument("--only", nargs="+", metavar="METHOD", help="some of the protocol's methods")
    parser.add_argument("--seeds", nargs="+", type=int, help="other seeds than the protocol's")
    return parser


if __name__ == "__main__":
    main()
