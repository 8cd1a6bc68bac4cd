"""Where a search step's time, FLOPs and memory go."""
