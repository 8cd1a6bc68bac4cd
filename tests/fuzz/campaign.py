"""The fuzz campaign: random spaces and genotypes, every execution against the reference, a case for each seed.

    python -m tests.fuzz.campaign --seeds 0:3000 -o fuzz.jsonl     takes hours; resumes
    python -m tests.fuzz.campaign --seeds 17 --shrink              one case, made small if it is a finding

A line of the file is a case; seeds in it are not computed again, with ``--retry`` those of findings are. Prints a table
of what the cases came to. Exit code 1 if there are findings.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nas.runtime.environment import environment
from tests.fuzz.workers import Record, judge_all


def main(words: Sequence[str] | None = None) -> int:
    """Run the seeds that the command line names; return 1 if there are findings."""
    options = _options(words)
    if options.shrink:
        return _shrink(options.seeds[0])
    known = {seed: r for seed, r in read_records(options.output).items() if seed in options.seeds}
    if options.retry:
        known = {seed: record for seed, record in known.items() if record["outcome"] != "finding"}
    waiting = [seed for seed in options.seeds if seed not in known]
    start = said = time.monotonic()
    for count, record in enumerate(judge_all(waiting, options.processes), 1):
        known[record["seed"]] = record
        _append(options.output, record)
        if record["outcome"] == "finding":
            print(_finding(record), file=sys.stderr, flush=True)
        if time.monotonic() - said > 30:
            said = time.monotonic()
            left = (said - start) / count * (len(waiting) - count)
            print(f"{count}/{len(waiting)} cases, {left / 60:.0f} min left", file=sys.stderr, flush=True)
    print(table(list(known.values())))
    return int(any(record["outcome"] == "finding" for record in known.values()))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=_seeds, default=range(100), help="FIRST:END or one seed (default: 0:100)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--retry", action="store_true", help="compute the findings in the file again")
    parser.add_argument("--shrink", action="store_true", help="make the finding of the first seed small")
    parser.add_argument("-o", "--output", type=Path, help="a file of JSON lines, appended to")
    return parser.parse_args(words)


def _seeds(text: str) -> range:
    first, colon, end = text.partition(":")
    return range(int(first), int(end)) if colon else range(int(first), int(first) + 1)


def read_records(path: Path | None) -> dict[int, Record]:
    """Return the file's records by seed: the last one of each, without lines that were cut off."""
    records: dict[int, Record] = {}
    for line in path.read_text().splitlines() if path is not None and path.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        records[record["seed"]] = record
    return records


def _append(path: Path | None, record: Record) -> None:
    """Append the record as a line of its own, also after a line that was cut off."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(max(file.seek(0, 2) - 1, 0))
            cut = file.read(1) not in (b"", b"\n")
            file.write(b"\n" * cut + json.dumps(record).encode() + b"\n")


def _finding(record: Record) -> str:
    from tests.fuzz.cases import draw_case

    way = record["way"] or "reference"
    return f"FINDING {record['kind']} in {way}: {record['detail']}\n    {draw_case(record['seed']).describe()}"


def table(records: Sequence[Record]) -> str:
    """Return the counts of what the cases came to, and the findings' seeds by kind."""
    counts = Counter(record["outcome"] for record in records)
    noisy = sum(record["kind"] == "noisy" for record in records)
    place = environment()
    lines = [f"commit {place['git_commit']}, torch {place['torch']}"]
    lines += [f"{'cases':<42} {len(records):>6}", f"{'agreed':<42} {counts['agreed']:>6}"]
    lines += [f"{'    of them with little to say (noise)':<42} {noisy:>6}"]
    lines += [f"{'refused by all executions':<42} {counts['refused']:>6}"]
    lines += [f"{'of operators that break the contract':<42} {counts['invalid']:>6}"]
    lines += [f"{'findings':<42} {counts['finding']:>6}"]
    kinds: dict[str, list[int]] = {}
    for record in records:
        if record["outcome"] == "finding":
            kinds.setdefault(f"{record['kind']} ({record['way'] or 'reference'})", []).append(record["seed"])
    for kind, seeds in sorted(kinds.items()):
        shown = " ".join(map(str, sorted(seeds)[:12])) + (" …" if len(seeds) > 12 else "")
        lines.append(f"    {kind:<60} {len(seeds):>4}   {shown}")
    return "\n".join(lines)


def _shrink(seed: int) -> int:
    from tests.fuzz.cases import draw_case
    from tests.fuzz.compare import judge
    from tests.fuzz.run import Way, compute
    from tests.fuzz.shrink import shrink

    case = draw_case(seed)
    verdict = judge(case)
    if verdict.outcome == "finding":
        case, verdict = shrink(case, verdict)
    print(f"{verdict}\n{case.describe()}\naltered: {compute(case, Way()).altered}")
    return int(verdict.outcome == "finding")


if __name__ == "__main__":
    sys.exit(main())
