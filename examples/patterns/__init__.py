"""Subscriptions to many topics by pattern. The same on asyncio, on trio and in threads."""
