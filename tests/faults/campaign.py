"""The fault campaign: random but repeatable kills, damaged and untrusted files, changed data, and bad input.

    python -m tests.faults.campaign                     all parts: 15 to 30 minutes on two cores
    python -m tests.faults.campaign --stops 0 --skipped 0 --corruptions 0 --inputs 0 --seed 7

Prints a table; ``-o FILE`` also writes it as JSON. The exit code is 1 if any case failed.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # no thread may be running at a fork
    os.environ[variable] = "1"

from nas.runtime.environment import environment  # noqa: E402
from nas.storage.atomic_files import write_file  # noqa: E402
from tests.faults.bad_inputs import bad_inputs  # noqa: E402
from tests.faults.changes import changes  # noqa: E402
from tests.faults.child import warm_up  # noqa: E402
from tests.faults.corruptions import corruptions  # noqa: E402
from tests.faults.disk_faults import disk_faults  # noqa: E402
from tests.faults.kernel_caches import kernel_caches  # noqa: E402
from tests.faults.kills import RUNS, SLOW, kills  # noqa: E402
from tests.faults.outcome import Part  # noqa: E402
from tests.faults.skipped_checkpoints import skipped_checkpoints  # noqa: E402
from tests.faults.special_files import special_files  # noqa: E402
from tests.faults.stops import stops  # noqa: E402
from tests.faults.untrusted_checkpoints import untrusted_checkpoints  # noqa: E402


def main() -> int:
    """Run the parts selected on the command line; return 1 if any case failed."""
    options = _options()
    warm_up()
    start = time.monotonic()
    place = Path(options.folder or tempfile.mkdtemp(prefix="faults-")).resolve()
    parts: list[Part] = []
    of_each_run = {"kills": kills, "stops": stops, "disk": disk_faults, "skipped": skipped_checkpoints}
    for what, campaign in of_each_run.items():
        for name in RUNS:
            number = getattr(options, what) // (2 if name == SLOW else 1)
            if number:
                parts.append(campaign(name, number, options.seed, _made(place / what / name.replace(" ", "-"))))
    if options.corruptions:
        parts += corruptions(options.corruptions, options.seed, _made(place / "corruptions"))
    if options.untrusted:
        parts += untrusted_checkpoints(options.untrusted, options.seed, _made(place / "untrusted"))
    for what, single in {"special": special_files, "caches": kernel_caches, "changes": changes}.items():
        if number := getattr(options, what):
            parts.append(single(number, options.seed, _made(place / what)))
    if options.inputs:
        parts += bad_inputs(options.inputs, options.seed, _made(place / "inputs"), options.processes)
    _print(parts, time.monotonic() - start)
    if options.output:
        report = {"seed": options.seed, **environment(), "parts": [asdict(part) for part in parts]}
        write_file(options.output, json.dumps(report, indent=1).encode())
    return int(any(part.failures for part in parts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=50, help="SIGKILLs of each kind of run, half for the slow one")
    parser.add_argument("--stops", type=int, default=10, help="SIGTERM, SIGINT and SIGUSR1 to each kind of run")
    parser.add_argument("--disk", type=int, default=16, help="disk faults of each kind of run, half for the slow one")
    parser.add_argument("--skipped", type=int, default=6, help="damaged newest checkpoints of each kind of run")
    parser.add_argument("--corruptions", type=int, default=250, help="altered checkpoints of a search, a retraining")
    parser.add_argument("--untrusted", type=int, default=300, help="the same, generated untrusted ones")
    parser.add_argument("--special", type=int, default=150, help="links, pipes, devices and folders in run folders")
    parser.add_argument("--caches", type=int, default=20, help="damaged kernel caches")
    parser.add_argument("--changes", type=int, default=36, help="changed data, operators and spaces")
    parser.add_argument("--inputs", type=int, default=350, help="bad inputs, in forked children")
    parser.add_argument("--processes", type=int, default=10, help="bad inputs, each in a new process")
    parser.add_argument("--folder", help="folder of the runs (default: a temporary one)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the table")
    return parser.parse_args()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _print(parts: list[Part], seconds: float) -> None:
    print(f"{'part':<44} {'tried':>6} {'survived':>9} {'failures':>9} {'min':>6}")
    for part in parts:
        survived = part.tried - len(part.failures)
        print(f"{part.name:<44} {part.tried:>6} {survived:>9} {len(part.failures):>9} {part.seconds / 60:>6.1f}")
        if part.notes:
            print("    " + ", ".join(f"{note}: {count}" for note, count in sorted(part.notes.items())))
        for failure in part.failures:
            print(f"    FAILED {failure}")
    print(f"{seconds / 60:.1f} min in all")


if __name__ == "__main__":
    sys.exit(main())
