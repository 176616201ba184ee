"""What the benchmarks share: frames, the server that sends them, the programs measured, the tables."""
