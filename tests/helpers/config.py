"""The configuration of a search, composed as by the command."""

from hydra import compose
from omegaconf import OmegaConf

from nas.cli.config import SearchConfig
from nas.cli.hydra_entry import initialize_hydra, use_command_groups
from nas.core.dataclass_config import build


def composed(*overrides: str) -> SearchConfig:
    use_command_groups("search")
    with initialize_hydra():
        config = compose("search", list(overrides))
    return build(SearchConfig, OmegaConf.to_container(config, resolve=True))
