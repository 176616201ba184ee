"""Move old rows out of the database into files, verified before anything is deleted."""
