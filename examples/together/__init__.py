"""An asyncio loop, a trio run and plain threads in one process, on one bus."""
