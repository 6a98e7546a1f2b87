"""The command `driftline`: a hub, and its clients, for people at a terminal.

Read in this order: `words`, what is said on standard error; `stopping`, Ctrl-C and how a command
ends; `address`, where a hub is; `connection`, one connection to it; `reading`, a subscription over
many connections; `output`, standard output; `lines`, text out of bytes; `source`, standard input;
`follow`, a file that grows; then the commands `serve`, `tail`, `publish`, `top` with its `tables`,
and `demo` with its `machine` and its `readers`; and `app`, what can be written on the command line,
with `grants`.
"""
