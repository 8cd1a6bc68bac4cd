"""Supernets of search spaces and networks of genotypes."""
