"""Write log lines: where they go, how they look, and without secrets."""
