"""Floor 5: the commands. Only here is Hydra known."""
