"""A process that judges cases: seeds come in by lines, verdicts go out as lines of JSON."""

import json
import os
import sys
import time
import traceback

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from tests.fuzz.cases import draw_case
from tests.fuzz.compare import Verdict, judge
from tests.fuzz.run import Way


def main() -> None:
    """Answer one line for each execution that begins, and one for each verdict; to the end of the input."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # nothing that a library prints may come between the lines
    torch.set_num_threads(1)
    for line in sys.stdin:
        seed = int(line)

        def begin(way: Way) -> None:
            out.write(json.dumps({"begins": str(way)}) + "\n")

        start = time.monotonic()
        try:
            verdict = judge(draw_case(seed), begin=begin)
        except Exception:
            verdict = Verdict("finding", "fuzzer's own error", "", traceback.format_exc())
        answer = {"seed": seed, **vars(verdict), "seconds": round(time.monotonic() - start, 2)}
        out.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
