"""Search spaces, cells and genotypes as plain data, without torch."""
