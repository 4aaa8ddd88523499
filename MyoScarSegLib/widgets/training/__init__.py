"""The second tab: the training library, the training of models from it, and what came of it."""
