"""``nas score`` on a search of NAS-Bench-201 of a second."""

from nas.cli.main import main
from nas.graph.arch_string import format_arch_string
from nas.graph.zoo import load_genotype
from tests.helpers.command_lines import TINY
from tests.helpers.truth import CELLS, write_table


def test_a_search_is_scored_and_ranked(run, ended, elsewhere):
    settings = [word for word in TINY if word.partition("=")[0] not in ("space", "cells")]
    assert run(*settings, "space=nb201", "cells=1", "run.dir=own-seed0").code == 0
    found = format_arch_string(load_genotype("own-seed0/genotype.yaml"))
    write_table(elsewhere / "t.csv", [*dict.fromkeys([*CELLS[:4], found])], columns=2)
    words = ["score", "own-seed0", "--truth", "t.csv", "--column", "b", "--sample", "3", "--images", "16"]
    code, out, complaints = ended(lambda: main([*words, "-o", "out.svg"]))
    assert (code, complaints) == (0, [])
    assert "| own-seed0 | 1 | " in out
    assert out.rstrip().endswith("out.csv")
    assert (elsewhere / "out.svg").read_bytes().startswith(b"<?xml")
    assert out.startswith((elsewhere / "out.md").read_text().splitlines()[0])

    config = elsewhere / "own-seed0/config.yaml"
    config.write_text(config.read_text().replace("cache: data/cache", "cache: /etc/cache"))
    for more, part in (
        ([], "names code or paths outside of it; to trust them, repeat them: --set data.cache=/etc/cache"),
        (["--set", "data.limit=3"], "--set 'data.limit=3': allowed: ops=VALUE, space=VALUE"),
        (["-o", "out.png"], "out.png: must end with .svg"),
    ):
        code, out, complaints = ended(lambda more=more: main([*words, *more]))
        assert (code, out, len(complaints)) == (2, "", 1), complaints
        assert part in complaints[0]
    assert ended(lambda: main([*words, "--set", "data.cache=here"])).code == 0
