"""Define the command `doctor`: what stands in the way, before it does."""
