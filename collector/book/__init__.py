"""A local order book, and the proof that it is the exchange's."""
