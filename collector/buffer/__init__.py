"""Buffer rows between the two threads: bounded and locked."""
