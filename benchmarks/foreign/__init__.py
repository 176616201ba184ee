"""What runs in an interpreter that has nothing of ours: the standard library, and the peer's own packages."""
