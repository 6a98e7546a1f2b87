"""Pushing topics to WebSocket clients. `driftline.websockets` has the public names.

Read in this order: `prepared`, a message framed once for all; `compression`, the extension that
lets connections share compressed ones; `wire`, what is needed of a connection; `backlog`, what a
client has yet to get; `fan_out`, the flat loop, and `pace`, which lets others run; `client`, what
becomes of those that do not keep up; `patience`, which cuts them off; `relay`, what a handler
calls. Then `sending`, where frames cannot be shared, `receiving`, the other way, with its
`allowance`, `disconnecting` in bounded time, and `statistics`.
"""
