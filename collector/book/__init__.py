"""Keep a local order book, and prove that it is the exchange's."""
