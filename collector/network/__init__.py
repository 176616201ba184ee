"""Reach exchanges: sockets, markets, REST snapshots, the pace of requests, the meaning of failures."""
