"""A thread that publishes, and tasks that read."""
