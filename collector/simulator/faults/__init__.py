"""Faults on demand, and what the exchanges' own limits refuse."""
