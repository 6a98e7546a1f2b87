"""Publishing in the middle of publishing, a million times.

`ways` has where it is done from: finalizers, a signal handler, callbacks of weak references, and
after a fork. `stage` has the topic and its reader, and `roll` says that each message came once.
"""
