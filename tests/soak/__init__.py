"""A long run of one bus under every load at once: `make soak`, or `python -m soak --minutes 10`.

`loads` has what is done to the bus; a load is a name and a function that starts threads and tasks,
and all are in one list, `loads.LOADS`. `part` is what each thread or task of a load works with,
`reading` the ways to read. `witness` holds each subscription to the law without keeping messages;
the load `epochs` holds a few to the whole law, as `proof.law` has it. `run` starts all and watches:
`heart` beats on every loop, `floor` on loops that have nothing to do with driftline, `memory` is
the resident memory. `report` judges and has the table, `plot` the picture.
"""
