"""Store write sets: one contract, one registry, a folder or file for each kind of sink."""
