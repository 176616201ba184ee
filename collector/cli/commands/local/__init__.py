"""The command `local`: all of it on this machine, and what it starts beside itself."""
