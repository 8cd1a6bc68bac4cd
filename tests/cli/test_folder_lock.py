"""Two processes never write to one run folder; a killed one releases it."""

import json
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from nas.cli.run_folder import _create, run_folder
from nas.core.errors import InputError
from tests.helpers.command_lines import FOREVER, ROOT, TINY
from tests.helpers.config import composed
from tests.helpers.processes import running, wait_until


def test_a_second_process_is_refused_until_the_first_ends(run, elsewhere, child_environment):
    folder = elsewhere / "run"
    with running(child_environment, str(ROOT / "search.py"), *FOREVER, f"run.dir={folder}") as process:
        wait_until((folder / "checkpoint.pt").exists, process)
        before = (folder / "config.yaml").read_bytes()
        for words in ([f"resume={folder}"], [*FOREVER, f"run.dir={folder}", "resume=true"]):
            code, out, complaints = run(*words)
            assert (code, out, len(complaints)) == (2, "", 1)
            assert f"process {process.pid} on '{socket.gethostname()}' has worked in it since '" in complaints[0]
        assert run(*TINY, f"run.dir={folder}").code == 2
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (folder / "lock").exists()
    (folder / ".checkpoint.pt.123.tmp").write_bytes(b"half")
    assert run(f"resume={folder}", "max_minutes=0.0001").code == 0
    assert (folder / "config.yaml").read_bytes() == before
    assert not (folder / "lock").exists()
    assert not list(folder.glob(".*.tmp"))


def test_a_lock_of_another_machine_is_kept(run, elsewhere):
    assert run(*TINY, "run.dir=run", "max_minutes=1e-9").code == 0
    lock = elsewhere / "run/lock"
    lock.write_text(json.dumps({"pid": 7, "host": "far-away", "since": "2026-01-01T00:00:00+00:00"}))
    code, _, complaints = run("resume=run")
    assert (code, len(complaints)) == (2, 1)
    assert "process 7 on 'far-away' has worked in it since '2026-01-01" in complaints[0]
    assert "delete run/lock" in complaints[0]
    lock.unlink()
    assert run("resume=run", "max_minutes=null").code == 0


def at_once(number: int, work) -> list:
    """Call ``work`` in ``number`` threads at the same moment; return the results, or the errors raised."""
    start, results = threading.Barrier(number), []

    def one() -> None:
        start.wait()
        try:
            results.append(work())
        except InputError as error:
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.usefixtures("elsewhere")
def test_new_runs_with_one_name_never_share_a_folder():
    config = composed(*TINY)
    with ExitStack() as locks:
        folders = at_once(12, lambda: _create(config, locks))
        name = "tiny-digits-seed0"
        assert {path.name for path in folders} == {name, *(f"{name}-{number}" for number in range(2, 13))}


@pytest.mark.usefixtures("elsewhere")
def test_only_one_of_several_new_runs_gets_a_given_folder():
    config = composed(*TINY, "run.dir=here")
    with ExitStack() as locks:
        results = at_once(12, lambda: _create(config, locks))
        assert sum(isinstance(result, Path) for result in results) == 1


@pytest.mark.usefixtures("elsewhere")
def test_bad_input_releases_the_lock(tmp_path):
    config = composed(*TINY, "run.dir=here")

    def fail() -> None:
        with run_folder(config, None) as open_folder:
            assert (open_folder() / "lock").exists()
            raise InputError("bad")

    with pytest.raises(InputError, match="bad"):
        fail()
    assert not (tmp_path / "here/lock").exists()
    with (
        pytest.raises(InputError, match="already exists; resume it with resume=here, or choose another folder"),
        run_folder(config, None),
    ):
        pass
