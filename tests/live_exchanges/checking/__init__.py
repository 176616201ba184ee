"""Check the collector against the real exchanges, as far as they can be reached."""
