"""JSON without NaN and infinities."""

import json
import math

from nas.core.json_text import format_json


def test_numbers_that_are_not_finite_become_null():
    text = format_json({"a": math.nan, "b": [1.5, -math.inf, (math.inf, "NaN")], "c": {"d": 1}, "e": None})

    def refuse(name: str) -> None:
        raise ValueError(name)

    read = json.loads(text, parse_constant=refuse)
    assert read == {"a": None, "b": [1.5, None, [None, "NaN"]], "c": {"d": 1}, "e": None}
