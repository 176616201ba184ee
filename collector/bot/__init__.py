"""The collector within another program: started, asked and stopped by a bot."""
