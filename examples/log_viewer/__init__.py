"""A log in the browser."""
