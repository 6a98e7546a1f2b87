"""A bus for those who are not in this process. `driftline.hub` has the public names.

Read in this order: `limits`, what a client may do at most; `access`, who may do what; `encoding`,
one frame for all who share a subscription; `words`, what is wrong, in those of the protocol;
`places`, where clients are that may come back; `feed`, one subscription of one connection, on
either `backend`; `session`, one client; `plain`, one that wants a single topic; `figures`, what
`inspector` shows, which is a page; `unsent`, who takes nothing; `hub`, all of it; `pages`, what is
answered over HTTP; `listening`, its server on asyncio and on trio, and `connection`, what it has of
its own on asyncio.
"""
