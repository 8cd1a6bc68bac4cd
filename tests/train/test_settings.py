"""Contradictory settings are refused in the user's words, before any work."""

import re
from dataclasses import replace

import pytest

from nas.core.errors import InputError
from tests.helpers.train_settings import SMALL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("channels", 0),
        ("cells", 0),
        ("eval_every", 0),
        ("stem", "resnet"),
        ("drop_path", 1.0),
        ("drop_path", -0.1),
        ("auxiliary_weight", -1.0),
        ("label_smoothing", 1.0),
        ("warmup_epochs", -1),
        ("warmup_epochs", 2),
        ("ema", 1.0),
        ("ema", 0.0),
        ("seed", -1),
        ("precision", "fp16"),
    ],
)
def test_a_bad_setting_is_named(name, value):
    with pytest.raises(InputError, match=re.escape(f"{name}={value}: must")):
        replace(SMALL, **{name: value})
