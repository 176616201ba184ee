"""The bounded, locked buffer between the two threads."""
