"""The plot of a run: memory above, the heartbeat below, as SVG for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10

WIDTH, HEIGHT, LEFT, RIGHT, TOP, GAP = 800, 200, 64, 16, 40, 64

STYLE = """
  svg { background: #fff; color: #222; font: 13px sans-serif }
  text { fill: currentColor } .grid { stroke: #8884 } .line { fill: none; stroke-width: 1.5 }
  .first { stroke: #0969da } .second { stroke: #bc4c00 }
  text.first { fill: #0969da; stroke: none } text.second { fill: #bc4c00; stroke: none }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; color: #e6edf3 }
    .first { stroke: #58a6ff } .second { stroke: #f0883e }
    text.first { fill: #58a6ff } text.second { fill: #f0883e }
  }
"""


class Panel:
    """One diagram over time."""

    def __init__(self, title: str, seconds: Sequence[float], top: float, highest: float) -> None:
        self.seconds = seconds
        self.top = top
        self.highest = _round(highest)
        self.parts = [f'<text x="{LEFT}" y="{top - 10}">{title}</text>']
        for quarter in range(5):
            value = self.highest * quarter / 4
            y = self._y(value)
            self.parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
            )
        for quarter in range(5):
            moment = max(seconds, default=0) * quarter / 4
            x, y = self._x(moment), top + HEIGHT + 18
            self.parts.append(
                f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{moment:.0f} s</text>'
            )

    def line(self, kind: str, name: str, values: Sequence[float], place: int) -> None:
        """Draw a line, and its name at the top, on the right."""
        points = " ".join(
            f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in zip(self.seconds, values, strict=True)
        )
        x = WIDTH - RIGHT - 150 * place
        self.parts.append(
            f'<polyline class="line {kind}" points="{points}"/>'
            f'<text class="{kind}" x="{x}" y="{self.top - 10}" text-anchor="end">{name}</text>'
        )

    def _x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / (max(self.seconds, default=0) or 1)

    def _y(self, value: float) -> float:
        return self.top + HEIGHT * (1 - value / self.highest)


def plot(
    seconds: Sequence[float],
    memory: Sequence[float],
    elapsed: Sequence[float],
    computed: Sequence[float],
) -> str:
    """Return the plot. Memory is in megabytes, gaps are in milliseconds."""
    above = Panel("resident memory, MB", seconds, TOP, max(memory, default=1))
    above.line("first", "memory", memory, 0)
    highest = max((*elapsed, *computed), default=1)
    below = Panel("largest gap in each second, ms", seconds, TOP + HEIGHT + GAP, highest)
    below.line("second", "elapsed", elapsed, 1)
    below.line("first", "computed by the loop", computed, 0)
    height = TOP + 2 * HEIGHT + GAP + 32
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
            "<title>Memory and heartbeat</title>",
            f"<style>{STYLE}</style>",
            *above.parts,
            *below.parts,
            "</svg>\n",
        ]
    )


def _round(value: float) -> float:
    """Return a number with one digit that is not less."""
    size = 10.0 ** int(log10(max(value, 1)))
    return ceil(value / size) * size or 1.0
