"""How fast, how flat and how polite driftline is, measured beside what people use today.

What they measure is held to the law of the tests, `proof.law`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))
