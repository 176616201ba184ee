"""Read stored rows, and return holes as holes."""
