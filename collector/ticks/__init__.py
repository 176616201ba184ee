"""The latest of each market, and bars built from its trades."""
