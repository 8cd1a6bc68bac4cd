"""Drawings: cells, heat maps, and the palette and figures that they share."""
