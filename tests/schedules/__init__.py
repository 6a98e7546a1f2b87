"""Many schedules: small scenarios, drawn by lot, each in an order that is drawn by lot.

`scenarios` has what is done, and `play` what they have in common. `on_asyncio` and `on_trio` are
the loops, `batch` runs many seeds of one scenario on one of them, and `table` says how many. What
a seed decides it decides alone: it can be replayed without those before it.
"""
