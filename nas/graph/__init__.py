"""Spaces, cells and genotypes as data. Nothing here needs torch."""
