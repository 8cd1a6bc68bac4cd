"""Spaces, cells and genotypes, described and drawn; nothing here needs torch."""
