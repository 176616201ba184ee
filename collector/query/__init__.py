"""Read back what was stored, without pretending that a hole was seen."""
