"""A ticker of prices, of which each client gets the newest."""
