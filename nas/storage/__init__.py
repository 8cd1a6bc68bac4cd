"""Files: atomic writes, safe readers of JSON, YAML and zip archives, checkpoints and their retention."""
