"""The memory check on networks that fit and that do not."""

import pytest
import torch
from torch import nn

from nas.core.errors import InputError
from nas.costs.memory_limit import require_memory

CPU = torch.device("cpu")


def test_a_network_that_fits_is_only_built_on_the_meta_device():
    built = []
    require_memory(lambda: built.append(nn.Linear(10, 10)) or built[0], CPU, "channels=10")
    assert built[0].weight.is_meta


@pytest.mark.parametrize("size", [10**7, 2**40])
def test_a_network_that_does_not_fit_is_rejected(size):
    with pytest.raises(InputError, match=r"channels=\d+: "):
        require_memory(lambda: nn.Linear(size, size), CPU, f"channels={size}")
