"""The worker process that holds the networks, and the client that talks with it."""
