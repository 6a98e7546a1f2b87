"""Faults planted on purpose, and the tests that find them.

`faults.toml` is the list. Each replaces a text that stands exactly once in its file, so it holds
when lines move, and `tests/test_planted.py` tells when it holds no more.
"""
