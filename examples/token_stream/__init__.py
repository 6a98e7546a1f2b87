"""A stream of tokens that goes on after a reload."""
