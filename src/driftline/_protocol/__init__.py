"""What a hub and its clients say to each other, without a connection: docs/protocol.md.

Read in this order: `frames` (JSON, with bytes beside it), `fields` (what may stand in it),
`requests` (what clients say), `events` (what the hub says), `following` (how a client goes on after
its connection was lost).
"""
