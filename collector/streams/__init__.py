"""Turn frames into rows, segments, counts and events."""
