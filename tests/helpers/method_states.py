"""Searches of which one step, with some places of their method changed."""

from dataclasses import replace

import torch

import nas
from nas.search.method import Method
from nas.search.state import init_search_state
from tests.helpers.search_settings import SETTINGS

CPU = torch.device("cpu")
BATCHES = [(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(s)), torch.arange(4)) for s in (0, 1)]


def state_with(**places):
    state = init_search_state(nas.load_space("tiny"), SETTINGS, 10, CPU)
    state.method = replace(Method("other"), **places)
    state.supernet.relaxation = state.method.relaxation
    return state


def alphas_of(state):
    return {kind: alpha.detach().clone() for kind, alpha in state.supernet.alphas().items()}
