"""Plant faults in the package, one at a time, and see whether the tests of their folder catch them."""
