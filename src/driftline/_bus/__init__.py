"""The bus: named topics, and streams of all whose names match. Read it in this order:

1. `names`, `settings`: what topics may be called, and what can be set for them
2. `tree`: which patterns match a name
3. `joint`: what all topics of one bus have in common; `kept`: which of them the bus holds
4. `topics`: how a message gets from its topic into the streams whose patterns match
5. `history`: streams that begin with what was published before
6. `bus`: the names; `statistics`: what can be seen; `forward`: from one into another

It knows the core. The core does not know it.
"""
