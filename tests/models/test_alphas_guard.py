"""Optimizers that move alphas and weights together."""

import pytest
import torch

import nas


def step(*groups, kind=torch.optim.SGD):
    optimizer = kind([{"params": list(group)} for group in groups], lr=0.1)
    optimizer.step()
    optimizer.step()


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_an_optimizer_of_all_parameters_is_noticed_once(kind, capsys):
    supernet = nas.Supernet("tiny", 2, 3)
    step(supernet.parameters(), kind=kind)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"this {kind.__name__} moves the alphas as if they were weights; give it supernet.weights()" in line


def test_the_split_and_other_networks_are_silent(capsys):
    supernet = nas.Supernet("tiny", 2, 3)
    step(supernet.weights())
    step(supernet.architecture().values())
    step(supernet.weights(), supernet.architecture().values())
    step(torch.nn.Linear(2, 2).parameters())
    assert capsys.readouterr().err == ""
