"""Things that several tests need: stand-ins, factories, tiny models."""
