"""Worker processes that may crash or hang: both are results, and the worker is replaced."""

import json
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

COMMAND = (sys.executable, "-m", "tests.fuzz.worker")
SECONDS = 300.0  # for one case; a few are usual, many more on a busy machine
SLICE = 0.25  # of the waiting: a machine that stood still for hours has lost no more than one
CASES = 200  # of one process, before a fresh one takes its place

Record = dict[str, Any]


class Worker:
    """One process, started when it is first needed."""

    def __init__(self, command: Sequence[str] = COMMAND, seconds: float = SECONDS) -> None:
        self.command = command
        self.seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._cases = 0

    def judge(self, seed: int) -> Record:
        """Return the record of the case; one of a finding if the process dies or takes too long."""
        if self._process is None or self._cases >= CASES:
            self.close()
            self._process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
            self._cases = 0
        self._cases += 1
        process, way, left = self._process, "", self.seconds
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{seed}\n".encode())
            process.stdin.flush()
            while left > 0:
                if not select.select([process.stdout], [], [], SLICE)[0]:
                    left -= SLICE
                    continue
                line = process.stdout.readline()
                if not line:
                    break
                answer: Record = json.loads(line)
                if "begins" not in answer:
                    return answer
                way = answer["begins"]
        except BrokenPipeError:
            pass
        kind = "time-out" if left <= 0 else f"crash: {_ending(process)}"
        self.close()
        return {"seed": seed, "outcome": "finding", "kind": kind, "way": way, "detail": "", "noise": 0.0}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _ending(process: subprocess.Popen[bytes]) -> str:
    """How the process ended, in words."""
    code = process.wait(10)
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def judge_all(seeds: Sequence[int], processes: int) -> Iterator[Record]:
    """Yield the cases' records as they come, from that many worker processes."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    records: queue.SimpleQueue[Record] = queue.SimpleQueue()
    for seed in seeds:
        waiting.put(seed)
    stopped = threading.Event()

    def work() -> None:
        worker = Worker()
        while not stopped.is_set():
            try:
                records.put(worker.judge(waiting.get_nowait()))
            except queue.Empty:
                break
        worker.close()

    threads = [threading.Thread(target=work) for _ in range(processes)]
    for thread in threads:
        thread.start()
    try:
        for _ in seeds:
            yield records.get()
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
