"""How fast, how flat and how polite driftline is, measured beside what people use today."""
