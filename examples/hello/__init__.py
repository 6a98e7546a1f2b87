"""The smallest program: one publishes, two listen. The same on asyncio, on trio and in threads."""
