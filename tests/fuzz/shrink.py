"""A finding made small: parts of the case are left out as long as the same kind of difference remains."""

from collections.abc import Iterator
from dataclasses import replace

from tests.fuzz.cases import Case, Drawn
from tests.fuzz.compare import Compute, Verdict, judge
from tests.fuzz.layers import Recipe
from tests.fuzz.run import compute

SMALL = {"inputs": 1, "nodes": 1, "edges_per_node": 1, "cells": 1, "channels": 2, "batch": 2, "height": 3, "width": 3}
PLAIN = {"frozen": 0.0, "alpha_scale": 1.0, "images": "normal", "auxiliary": False, "drop_path": 0.0, "stem": "cifar"}


def shrink(case: Case, verdict: Verdict, run: Compute = compute, tries: int = 300) -> tuple[Case, Verdict]:
    """Return a smaller case with a finding of the same kind in the same execution, and its verdict."""
    smaller = True
    while smaller and tries > 0:
        smaller = False
        for candidate in _candidates(case):
            tries -= 1
            found = _judged(candidate, run)
            if found is not None and (found.kind, found.way) == (verdict.kind, verdict.way):
                case, verdict, smaller = candidate, found, True
                break
            if tries <= 0:
                break
    return case, verdict


def _judged(case: Case, run: Compute) -> Verdict | None:
    """Return the verdict; None for a case that cannot be built."""
    try:
        return judge(case, run)
    except Exception:
        return None


def _candidates(case: Case) -> Iterator[Case]:
    for index in range(len(case.operators) if len(case.operators) > 1 else 0):
        yield replace(case, operators=case.operators[:index] + case.operators[index + 1 :])
    for index in range(len(case.alterations)):
        yield replace(case, alterations=case.alterations[:index] + case.alterations[index + 1 :])
    for name, value in PLAIN.items():
        if getattr(case, name) != value:
            yield replace(case, **{name: value})
    for name, small in SMALL.items():
        given = getattr(case, name)
        for value in (small, small + (given - small) // 2, given - 1) if given > small else ():
            yield replace(case, **{name: value})
    for index, operator in enumerate(case.operators):
        for simpler in _simpler(operator) if isinstance(operator, Drawn) else ():
            yield replace(case, operators=(*case.operators[:index], simpler, *case.operators[index + 1 :]))
    if case.mode == "order 2":
        yield replace(case, mode="order 1")


def _simpler(operator: Drawn) -> Iterator[Drawn]:
    for flag in ("batchnorm_in_search", "batched"):
        if getattr(operator, flag):
            yield replace(operator, **{flag: False})
    for recipe in _simpler_recipes(operator.recipe):
        if recipe:
            yield replace(operator, recipe=recipe)


def _simpler_recipes(recipe: Recipe) -> Iterator[Recipe]:
    for index, word in enumerate(recipe):
        yield recipe[:index] + recipe[index + 1 :]
        if isinstance(word, tuple):
            kind, *parts = word
            for place, part in enumerate(parts):
                if isinstance(part, tuple):
                    yield recipe[:index] + part + recipe[index + 1 :]
                    for smaller in _simpler_recipes(part):
                        if smaller:
                            given = (kind, *parts[:place], smaller, *parts[place + 1 :])
                            yield (*recipe[:index], given, *recipe[index + 1 :])
