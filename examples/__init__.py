"""Programs that show driftline at work; each folder has its own README."""
