"""A resumed run notices what changed: data, operators, space, kernels, torch."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nas
from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT, FINGERPRINT
from nas.data import AugmentSettings
from nas.engine import fingerprint
from nas.engine.fault_tolerance import FaultTolerance
from nas.engine.fingerprint import check_fingerprint, is_fingerprint, operators_fingerprint, read_resume_anyway
from nas.ops import registry
from nas.search.loop import run_search_loop
from nas.storage.checkpoint import load_checkpoint, save_checkpoint
from nas.storage.json_file import read_json
from tests.helpers.runs import StopAfter, same, search_state
from tests.helpers.search_settings import SETTINGS

OPERATOR = """
import nas
from torch import nn

@nas.register_operator("mine")
def mine(channels, stride, affine):
    return nn.Sequential(nn.Conv2d(channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels, affine=affine))
"""


@pytest.fixture
def run(digits):
    """Search the tiny space on given data, in a folder, after so many steps."""

    def call(folder: Path, steps: int = 1, dataset=digits, space="tiny", anyway=None):
        return run_search_loop(
            nas.load_space(space) if isinstance(space, str) else space,
            dataset,
            replace(SETTINGS, epochs=1),
            folder,
            augment=AugmentSettings(pad=1, flip=False),
            device=torch.device("cpu"),
            deadline=StopAfter(steps),
            resume=(folder / CHECKPOINT).exists(),
            fault_tolerance=FaultTolerance(resume_anyway=anyway),
        )

    return call


@pytest.fixture
def with_a_pixel(digits):
    """The digits with one pixel changed."""
    images = digits.train.images.clone()
    images[5, 0, 3, 3] ^= 1
    return replace(digits, train=replace(digits.train, images=images))


def test_checkpoint_and_folder_hold_the_same_fingerprint(run, tmp_path):
    run(tmp_path)
    stored = load_checkpoint(tmp_path / CHECKPOINT)["fingerprint"]
    assert stored == read_json(tmp_path / FINGERPRINT)
    assert {name.split(".")[0] for name in stored} == {"data", "space", "kernels", "torch"}  # no operators of a user's


def test_one_changed_pixel_is_refused_and_can_be_accepted(run, digits, with_a_pixel, tmp_path, capsys):
    run(tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    message = r"changed since it was written: data\.train\.images; .* resume_anyway=data$"
    with pytest.raises(InputError, match=message):
        run(tmp_path, dataset=with_a_pixel)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    run(tmp_path, dataset=with_a_pixel, anyway="data")
    with pytest.raises(InputError, match=r"data\.train\.images"):  # the checkpoint is now the changed data's
        run(tmp_path)
    assert "warning" not in capsys.readouterr().err


def test_changed_kernels_and_torch_are_named(run, tmp_path, monkeypatch):
    run(tmp_path)
    monkeypatch.setattr(fingerprint, "load_library", lambda: (None, "NAS_KERNELS=off"))
    kernels = load_checkpoint(tmp_path / CHECKPOINT)["fingerprint"]["kernels"]
    monkeypatch.setattr(torch, "__version__", "1.0.0")
    changed = r"kernels, torch; .*=kernels\+torch" if kernels != "stock torch" else r"torch; .*=torch"
    with pytest.raises(InputError, match=changed):
        run(tmp_path)
    with pytest.raises(
        InputError, match=r"torch; .*resume_anyway=" if kernels == "stock torch" else r"written: torch; "
    ):
        run(tmp_path, anyway="kernels")
    run(tmp_path, anyway="kernels+torch")


def test_an_operator_file_and_its_imports_are_covered(tmp_path, monkeypatch):
    monkeypatch.setattr(registry.operators, "_entries", dict(registry.operators._entries))
    monkeypatch.setattr(registry, "_user_files", set())
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "part.py").write_text("X = 1\n")
    (tmp_path / "my_ops.py").write_text("import part\n" + OPERATOR)
    registry.load_user_operators(tmp_path / "my_ops.py")
    names = ["mine", "sandglass_3x3_t2", "skip_connect"]
    before = operators_fingerprint(names)
    assert set(before) == {"ops.my_ops.py", "ops.my_ops.py.part.py"}
    (tmp_path / "part.py").write_text("X = 2\n")
    after = operators_fingerprint(names)
    assert [name for name in before if before[name] != after[name]] == ["ops.my_ops.py.part.py"]
    assert operators_fingerprint(["skip_connect", "ir_3x3_t4"]) == {}


def test_a_checkpoint_without_a_fingerprint_loads_with_one_line(run, tmp_path, capsys):
    run(tmp_path / "whole", steps=99)
    run(tmp_path / "parts")
    saved = load_checkpoint(tmp_path / "parts" / CHECKPOINT)
    del saved["fingerprint"]
    save_checkpoint(tmp_path / "parts" / CHECKPOINT, saved)
    capsys.readouterr()
    run(tmp_path / "parts", steps=99)
    assert capsys.readouterr().err.count("has no fingerprint") == 1
    assert same(search_state(tmp_path / "whole"), search_state(tmp_path / "parts"))


@pytest.mark.parametrize("stored", [[], 7, {"a": 1}, {1: "a"}, {"a": "x\ny"}, {"a": "x" * 5000}])
def test_untrusted_fingerprints(stored, capsys):
    assert not is_fingerprint(stored)
    if stored:
        with pytest.raises(InputError, match="its fingerprint is malformed"):
            check_fingerprint(stored, {}, "here", ())


@pytest.mark.parametrize(("given", "groups"), [(None, ()), ("data", ("data",)), ("ops+torch", ("ops", "torch"))])
def test_groups(given, groups):
    assert read_resume_anyway(given) == groups


@pytest.mark.parametrize("given", ["all", "data,ops", "data+", "+"])
def test_unknown_groups(given):
    with pytest.raises(InputError, match=r"resume_anyway='.*': must be null or names joined with \+"):
        FaultTolerance(resume_anyway=given)
