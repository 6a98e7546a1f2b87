"""Run the fuzzer: `python -m fuzz [--seconds 60] [--planted DEFECT]`, with `tests` on the path.

The exit code is 0 if nothing was found. What inputs took new branches is kept in a folder, and the
next run goes on from them.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import atheris  # type: ignore[import-untyped]  # in the environment of `make fuzz` only

TESTS = Path(__file__).parents[1]

LENGTH = 256
"""Bytes, which are enough for most examples."""

Property = Callable[[bytes], bytes | None]


def main() -> None:
    """Fuzz for a time, and exit."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Look for what breaks a property.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, default=Path("build", "fuzz"))
    parser.add_argument("--planted", help="a defect, to see it found")
    options = parser.parse_args()
    options.corpus.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["driftline"]):
        import driftline  # noqa: F401
    if options.planted:
        from fuzz import planted

        planted.DEFECTS[options.planted]()
    properties = dict(find_properties())
    sys.stderr.write("\n    ".join(["properties:", *properties]) + "\n")
    settings = {
        "max_total_time": options.seconds,
        "max_len": LENGTH,
        "print_final_stats": 1,
        "artifact_prefix": f"{options.corpus}-",
    }
    arguments = [f"-{setting}={value}" for setting, value in settings.items()]
    target = choosing(list(properties.values()))
    atheris.Setup([sys.argv[0], *arguments, str(options.corpus)], target)
    atheris.Fuzz()


def find_properties() -> Iterator[tuple[str, Property]]:
    """Find the tests that need nothing but what Hypothesis makes up."""
    for file in sorted([*TESTS.glob("core/test_*.py"), *TESTS.glob("bus/test_*.py")]):
        for name, test in runpy.run_path(str(file), run_name=file.stem).items():
            if name.startswith("test_") and hasattr(test, "hypothesis"):
                yield f"{file.relative_to(TESTS)}::{name}", test.hypothesis.fuzz_one_input


def choosing(properties: list[Property]) -> Callable[[bytes], None]:
    """Return what takes an input, and gives it to the property that its first byte chooses."""

    def take(data: bytes) -> None:
        if data:
            # What an example needs beyond its data must be as good as any, or it is none.
            rest = Random(data).randbytes(LENGTH)
            properties[data[0] % len(properties)](data[1:] + rest)

    return take


if __name__ == "__main__":
    main()
