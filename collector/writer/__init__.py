"""The writer thread: batches, coverage, accounting, retry."""
