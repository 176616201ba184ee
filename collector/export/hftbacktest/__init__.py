"""Turn stored books and trades into the events that hftbacktest replays."""
