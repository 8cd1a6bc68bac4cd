"""The defaults of the settings in Python are those of ``conf/``: the papers' values."""

import pytest

from nas.cli.config import RetrainConfig, SearchConfig
from nas.cli.hydra_entry import compose
from nas.engine.fault_tolerance import FaultTolerance
from nas.search.settings import SearchSettings
from nas.train.settings import TrainSettings


@pytest.mark.parametrize(
    ("name", "config", "settings"),
    [("search", SearchConfig, SearchSettings), ("retrain", RetrainConfig, TrainSettings)],
)
def test_defaults_in_python_and_on_the_command_line_agree(name, config, settings):
    composed = compose(name, config, [])
    assert composed.settings == settings()
    assert composed.fault_tolerance == FaultTolerance()
