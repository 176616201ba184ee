"""The simulated exchanges, one folder each: protocol, frames, REST answers and recorded frames."""
