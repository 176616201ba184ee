"""The seeded markets, what came of each step, and the truth about them."""
