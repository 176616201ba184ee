"""Run the collector within another program, such as a bot."""
