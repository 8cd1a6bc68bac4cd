"""The training of a genotype's network: settings, step, state, loop, trained networks and their export."""
