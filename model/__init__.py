"""A model of the topic, and what runs the checker Spin over it."""
