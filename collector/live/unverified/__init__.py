"""Collect the books of exchanges that have no folder of their own, as ccxt keeps them."""
