"""What happened: frozen values that import nothing, and the way they are handed on."""
