"""Define the command `init`: four questions, then a configuration file."""
