"""A bus for those who are not in this process. `driftline.hub` has the public names.

Read in this order: `limits`, what a client may do at most; `access`, who may do what; `encoding`,
one frame for all who share a subscription; `feed`, one subscription of one client; `places`, where
lost clients were; `session`, one client; `pages`, what is answered over HTTP; `hub`, all of it;
`listening`, its server on asyncio and on trio.
"""
