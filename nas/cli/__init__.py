"""The commands. The only package that knows Hydra."""
