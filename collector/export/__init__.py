"""Export stored data for other tools: Parquet, CSV or hftbacktest, one file a day."""
