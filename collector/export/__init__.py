"""Hand stored data to other tools: Parquet, CSV, hftbacktest, each day a file."""
