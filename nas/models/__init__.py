"""Floor 3: supernets from search spaces, networks from genotypes."""
