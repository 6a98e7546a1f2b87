"""The core of driftline. Read it in this order:

1. `link`, `hold`: the linked list, and how it is freed
2. `topic`: publishing, by `turn`
3. `subscription`: reading
4. `parking`: waiting, and being woken, on asyncio, trio and in threads
5. `views`: other ways to read
6. `milestones`: finding a place; `limits`: keeping no more than that; `tolerance`: what a reader
   is told of it
7. `subscribable`, `replay`, `places`: those who come later, and those who come back
8. `senders`: publishing that waits for the slowest
9. `visible`, `watch`, `message`, `statistics`, `errors`, `report`: what can be learned
10. `checks`: what callers may give
11. `invariants`: what the essays promise, as a function that tests call after every step
"""
