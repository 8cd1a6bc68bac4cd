"""A search method that the file in ``ops`` registers."""

import pytest
import yaml

from nas.search.methods import methods

CODE = """
from dataclasses import dataclass
import nas

@dataclass(frozen=True)
class Settings:
    weight: float = 0.5

@nas.register_method("flat", settings=Settings, changes={"alphas.lr": 0.05, "batch_size": 8})
def flat(settings):
    def penalty(alphas, epoch, epochs):
        return settings.weight * sum((alpha ** 2).sum() for alpha in alphas.values())
    return nas.Method(penalties=(penalty,))
"""


@pytest.fixture
def my_file(elsewhere, monkeypatch):
    monkeypatch.setattr(methods, "_entries", dict(methods._entries))
    (elsewhere / "my.py").write_text(CODE)
    return elsewhere


def test_what_is_typed_wins_over_the_method_and_that_over_the_file(my_file, search):
    code, out, complaints = search("ops=my.py", "method=flat", "methods.flat.weight=2", "batch_size=4", "run.dir=a")
    assert (code, complaints) == (0, [])
    assert "by flat on digits" in out
    stored = yaml.safe_load((my_file / "a/config.yaml").read_text())
    assert (stored["method"], stored["methods"], stored["batch_size"]) == ("flat", {"flat": {"weight": 2}}, 4)
    assert stored["alphas"]["lr"] == 0.05
    assert yaml.safe_load((my_file / "a/genotype.yaml").read_text())["origin"]["method"] == "flat"


def test_a_changed_method_is_no_resumption(my_file, search, run):
    given = ["ops=my.py", "method=flat", "run.dir=a"]
    assert search(*given, "max_minutes=1e-9").code == 0
    (my_file / "my.py").write_text(CODE.replace("0.5", "0.25"))
    code, _, complaints = run("resume=a", "ops=my.py")
    assert code == 2
    assert "my.py" in complaints[0]
    code, _, complaints = run("resume=a")
    assert code == 2
    assert "ops=my.py" in complaints[0]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["method=flt"], "unknown method 'flt'"),
        (["method=flat", "methods.flat.wieght=1"], "methods.flat.wieght: unknown setting; did you mean weight?"),
        (["method=flat", "methods.flat=3"], "methods.flat"),
        (["method=gdas", "order=2"], "order=2: method=gdas is defined for order 1"),
        (["method=pc_darts", "methods.pc_darts.warmup_epochs=3"], "would rest in all of them"),
        (["method="], "a name is missing"),
        (["method=null"], "method=null"),
    ],
)
def test_bad_methods_are_one_line(my_file, refused, given, part):
    refused(["ops=my.py", *given], [part])
