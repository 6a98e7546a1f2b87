"""The core of driftline. Read it in this order:

1. `link`: the linked list, and how it is freed
2. `topic`: publishing, by `turn`
3. `subscription`: reading
4. `parking`: waiting, and being woken, on asyncio, trio and in threads
5. `views`: other ways to read
6. `visible`, `message`, `statistics`, `report`: what can be learned
7. `checks`: what callers may give
"""
