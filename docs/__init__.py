"""Scripts that make pages from the code. Not installed."""
