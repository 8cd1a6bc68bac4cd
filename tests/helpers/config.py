"""The configuration of a search, composed as by the command."""

from hydra import compose
from omegaconf import OmegaConf

from nas.cli.config import SearchConfig
from nas.cli.dataclass_config import build
from nas.cli.hydra_entry import initialize_hydra, use_command_groups


def composed(*overrides: str) -> SearchConfig:
    use_command_groups("search")
    with initialize_hydra():
        config = compose("search", list(overrides))
    return build(SearchConfig, OmegaConf.to_container(config, resolve=True))
