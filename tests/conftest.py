"""For all tests: one thread each, since several run side by side and results must repeat."""

import os
from collections.abc import Iterator

import pytest
import torch

pytest_plugins = ["tests.helpers.run_fixtures", "tests.helpers.refused", "tests.helpers.executions"]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
torch.set_num_threads(1)


@pytest.fixture
def in_float64() -> Iterator[None]:
    """What has no type of its own is float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
