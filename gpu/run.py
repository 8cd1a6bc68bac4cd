"""Runner of ``make gpu``: runs the pieces of ``gpu/pieces.py``, keeps a JSON file for each, and resumes.

    python gpu/run.py                       all pieces that have no result yet
    python gpu/run.py --piece data-tests    one piece, also if it has a result
    python gpu/run.py --folder $OUT         results elsewhere than runs/gpu
    python gpu/run.py --list                the pieces

A result counts for the commit, GPU, torch version and command that it was made with; a piece that failed runs again.
Exit codes: 0 if every piece is done, 1 if one is not, 2 for a wrong call or a machine without a GPU.
"""

import argparse
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]  # no installation is needed

from gpu.pieces import PIECES, Piece  # noqa: E402  # after the path is known

UNFINISHED = 75  # the exit code of a piece that goes on where it stopped when it is called again
_KEPT_OUTPUT = 20_000  # characters


def main(argv: Sequence[str] | None = None, pieces: Sequence[Piece] = PIECES) -> int:
    """Run what the command line asks for; return the exit code."""
    options = _parser().parse_args(argv)
    if options.list:
        for piece in pieces:
            print(f"{piece.name:24} at most {piece.minutes:g} min  {piece.shows}")
        return 0
    chosen = [piece for piece in pieces if options.piece in (None, piece.name)]
    if not chosen:
        print(f"PIECE={options.piece}: unknown; allowed: {', '.join(p.name for p in pieces)}", file=sys.stderr)
        return 2
    if importlib.util.find_spec("torch") is None:
        print("torch is missing: pip install torch torchvision", file=sys.stderr)
        return 2
    folder: Path = options.folder.resolve()
    machine = _machine()
    if machine["gpu"] is None and all(piece.gpu for piece in chosen):
        print("torch sees no NVIDIA GPU on this machine", file=sys.stderr)
        return 2
    print(f"{machine['gpu'] or 'no GPU'}, torch {machine['torch']}, commit {machine['git_commit']}; results: {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    return _run_all(chosen, folder, machine, again=options.piece is not None)


def _run_all(pieces: Sequence[Piece], folder: Path, machine: dict[str, Any], again: bool) -> int:
    unfinished = []
    for piece in pieces:
        if not again and _is_done(piece, folder, machine):
            print(f"{piece.name}: done before")
            continue
        print(f"{piece.name}: {piece.shows}; at most {piece.minutes:g} min", flush=True)
        result = _run(piece, folder, machine)
        _write(folder / f"{piece.name}.json", result)
        print(f"{piece.name}: {result['status']} in {result['seconds']:.0f} s", flush=True)
        if result["status"] != "done":
            print("".join(f"    {line}\n" for line in result["output"].splitlines()[-15:]), end="")
            unfinished.append(f"{piece.name} ({result['status']})")
    print(f"not done: {', '.join(unfinished)}; repeat the command" if unfinished else "all done")
    return 1 if unfinished else 0


def _run(piece: Piece, folder: Path, machine: dict[str, Any]) -> dict[str, Any]:
    """Return the piece's result: status, seconds, output and the figures that it saved, with the machine."""
    result = {"piece": piece.name, "shows": piece.shows, "command": piece.command, "environment": machine}
    if problem := _missing(piece, machine):
        return {**result, "status": problem, "seconds": 0.0, "output": "", "figures": None}
    figures, log = folder / f".{piece.name}.figures.json", folder / f".{piece.name}.log"
    figures.unlink(missing_ok=True)
    values = {"python": shlex.quote(sys.executable), "figures": shlex.quote(str(figures))}
    started = time.monotonic()
    status = _run_command(shlex.split(piece.command.format(**values)), log, piece.minutes * 60)
    seconds = round(time.monotonic() - started, 1)
    kept = not status.startswith("failed") and figures.exists()
    saved = json.loads(figures.read_text()) if kept else None
    if status == "done" and "{figures}" in piece.command and saved is None:
        status = "failed: no figures were saved"
    output = log.read_text(encoding="utf-8", errors="replace")[-_KEPT_OUTPUT:]
    for path in (figures, log):
        path.unlink(missing_ok=True)
    return {**result, "status": status, "seconds": seconds, "output": output, "figures": saved}


def _run_command(command: list[str], log: Path, limit: float) -> str:
    """Run the command with its output in ``log``; return its status. After ``limit`` seconds it is killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            return "failed: time limit"
        finally:
            with suppress(ProcessLookupError, PermissionError):  # the processes that it started, too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code == UNFINISHED:
        return "not finished, continues in the next call"
    return "done" if code == 0 else f"failed: exit code {code}"


def _missing(piece: Piece, machine: dict[str, Any]) -> str:
    """Return why the piece cannot run on this machine, or an empty string."""
    if piece.gpu and machine["gpu"] is None:
        return "skipped: torch sees no NVIDIA GPU"
    absent = [name for name in piece.needs if importlib.util.find_spec(name) is None]
    return f"skipped: Python modules are missing: {', '.join(absent)}" if absent else ""


def _is_done(piece: Piece, folder: Path, machine: dict[str, Any]) -> bool:
    try:
        result = json.loads((folder / f"{piece.name}.json").read_text())
        same_machine = all(result["environment"][key] == machine[key] for key in ("git_commit", "gpu", "torch"))
        return bool(same_machine and result["status"] == "done" and result["command"] == piece.command)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write(path: Path, result: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.replace(path)


def _machine() -> dict[str, Any]:
    from nas.runtime.environment import environment

    return environment()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--piece", help="run this piece only, also if it has a result")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs/gpu", help="folder of the results")
    parser.add_argument("--list", action="store_true", help="list the pieces")
    return parser


if __name__ == "__main__":
    sys.exit(main())
