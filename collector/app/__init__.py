"""Run one collector: build its parts, start and stop them, watch over them."""
