"""Eight ways to send the same message to many WebSocket clients.

In reading order: ``patterns`` (the eight ways), ``terms`` (what a client may ask of the last two,
and what it is told), ``stamp`` (number and time on each message), ``lines`` (the input),
``server``, ``client``, ``report`` (what a client measured), ``demo``.
"""
