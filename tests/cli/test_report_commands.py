"""``python -m nas evolution | sizes | keep`` on a search of about a second."""

from nas.cli.main import main
from nas.graph.zoo import load_genotype
from tests.helpers.processes import without_note


def test_evolution_sizes_and_keep(search, ended, elsewhere):
    assert search("run.dir=here").code == 0
    for command, part in (("evolution", "## The found cells"), ("sizes", "| tiny | 0 | 0 | 0 |")):
        code, out, complaints = ended(lambda command=command: main([command, "here", "-o", f"out/{command}.svg"]))
        assert (code, complaints) == (0, [])
        assert f"out/{command}.md" in out
        assert (elsewhere / f"out/{command}.svg").read_bytes().startswith(b"<?xml")
        assert part in (elsewhere / f"out/{command}.md").read_text()
    (elsewhere / "here/result.json").unlink()
    code, out, _ = ended(lambda: main(["evolution", "here", "-o", "begun.svg"]))
    assert (code, out.split()) == (0, ["begun.svg"])

    code, out, _ = ended(lambda: main(["keep", "here/genotype.yaml", "cells/mine.yaml", "--dataset", "digits, 64"]))
    assert (code, without_note(out).split()) == (0, ["cells/mine.yaml", "cells/mine.svg"])
    kept, found = load_genotype("cells/mine.yaml"), load_genotype("here/genotype.yaml")
    assert kept == found
    assert (kept.name, kept.origin.dataset, kept.origin.space) == ("mine", "digits, 64", "tiny")
    assert kept.origin.date == found.origin.date
    assert "mine: normal cell" in (elsewhere / "cells/mine.svg").read_text()


def test_bad_arguments_leave_no_file(ended, elsewhere):
    for words, part in (
        (["evolution", "nowhere", "-o", "a.svg"], "nowhere: not a run folder"),
        (["evolution", "nowhere", "-o", "a.png"], "a.png: must end with .svg"),
        (["sizes", "nowhere", "-o", "a.svg"], "nowhere: not a run folder"),
        (["sizes", "nowhere", "-o", "a"], "a: must end with .svg"),
        (["keep", "darts_v2", "a.txt"], "a.txt: must end with .yaml"),
    ):
        code, out, complaints = ended(lambda words=words: main(words))
        assert (code, out, len(complaints)) == (2, "", 1)
        assert part in complaints[0]
        assert list(elsewhere.iterdir()) == []
