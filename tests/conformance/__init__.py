"""What real clients make of the frames that driftline's servers send them.

A server mixes what it publishes to all with what it sends to each; a client sends everything back
as it has understood it, and the server compares. Whatever a client cannot decode, or decodes to
something else, is found that way, by any client that can echo.

Read in this order: `payloads`, what is sent; `peer`, one connection and what is to come back on it;
`steps`, how it is sent; `servers`, by whom; `offers`, what clients ask for; `programs`, the
clients; `run`, one server and one program; `report`, what came of all of them.
"""
