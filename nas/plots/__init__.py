"""Drawings of cells, heat maps, and the palette and figure helpers that they share."""
