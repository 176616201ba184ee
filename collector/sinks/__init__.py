"""Store batches: one contract, a sink a kind of database."""
