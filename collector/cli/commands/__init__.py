"""Hold one file a command."""
