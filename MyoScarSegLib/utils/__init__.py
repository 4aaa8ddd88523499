"""General helpers: files, locks, memory, device, processes, progress. They know nothing of hearts."""
