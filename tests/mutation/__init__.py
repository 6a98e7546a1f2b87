"""Small changes of the code, each of which some test should notice.

`change` makes them, `covering` tells which tests run a line, `trials` runs these on a change, and
`equivalents.toml` lists changes that no test can notice, with the reason.

This is written here because known tools do not fit. Those that replace functions by switches of
their own change what is examined: the explorer of interleavings counts instructions, and tests look
at frames, slots and references. Those that change files run one command for all changes, and the
tests as a whole take minutes; here each change is tried on the tests that run its line, the
fastest first.
"""
