import pytest
import torch
from torch import nn

from nas.core.errors import InputError
from nas.costs.memory_limit import require_memory

CPU = torch.device("cpu")


def test_what_fits_is_not_made():
    made = []
    require_memory(lambda: made.append(nn.Linear(10, 10)) or made[0], CPU, "channels=10")
    assert made[0].weight.is_meta


@pytest.mark.parametrize("size", [10**7, 2**40])
def test_what_does_not(size):
    with pytest.raises(InputError, match=r"channels=\d+: "):
        require_memory(lambda: nn.Linear(size, size), CPU, f"channels={size}")
