"""Many studies: what to read, and running them one after the other."""
