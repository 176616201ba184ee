"""Hold each exchange's facts, frames and integrity rule. Pure, without ccxt."""
