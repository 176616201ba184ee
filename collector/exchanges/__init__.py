"""Each exchange: its facts, its frames, its integrity rule. Pure, without ccxt."""
