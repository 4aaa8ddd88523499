"""Pages are held to the code."""
