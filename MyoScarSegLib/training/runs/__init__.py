"""Training runs: planned, started in a process of their own, watched, stopped, compared and kept."""
