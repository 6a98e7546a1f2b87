"""A bus with a limit, and readers that are behind it. On asyncio, on trio and in threads."""
