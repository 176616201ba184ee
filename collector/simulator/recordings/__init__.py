"""Recorded frames, played in the place of a simulated market."""
