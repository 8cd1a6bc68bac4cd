"""The configuration of a search as the command composes it."""

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from nas.cli.config import SearchConfig
from nas.cli.dataclass_config import build
from nas.cli.hydra_entry import use_own_groups
from nas.core.paths import shipped_folder


def composed(*overrides: str) -> SearchConfig:
    use_own_groups("search")
    with initialize_config_dir(str(shipped_folder("conf")), version_base="1.3"):
        config = compose("search", list(overrides))
    return build(SearchConfig, OmegaConf.to_container(config, resolve=True))
