"""Microstructure features, computed with numpy over a whole batch."""
