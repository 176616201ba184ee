"""Turn batches into write sets and deliver them: coverage, accounting, retry, spool, followers."""
