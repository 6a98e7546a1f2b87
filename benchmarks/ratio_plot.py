"""A plot of ratios: a panel for each event loop, a line for each case, a mark for each contender.

The axis is logarithmic, so that twice as cheap and twice as dear are as far from 1. As SVG, for
light and dark pages.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, log2
from statistics import median
from typing import Final
from xml.sax.saxutils import escape

Panel = Mapping[str, Mapping[str, Sequence[float]]]
"""By case and contender, the ratios of all rounds."""

WIDTH: Final = 960
LEFT: Final = 280
RIGHT: Final = 24
TOP: Final = 80
LINE: Final = 22
GAP: Final = 48
LETTER: Final = 7.0  # about as wide as one is

STYLE: Final = """
  svg { background: #fff; color: #222; font: 13px sans-serif }
  text { fill: currentColor } .grid { stroke: #8884 } .one { stroke: currentColor }
  .mark0 { fill: #0969da; stroke: #0969da } .mark1 { fill: #bc4c00; stroke: #bc4c00 }
  .mark2 { fill: #1a7f37; stroke: #1a7f37 } .mark3 { fill: #8250df; stroke: #8250df }
  .mark4 { fill: #6e7781; stroke: #6e7781 }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; color: #e6edf3 }
    .mark0 { fill: #58a6ff; stroke: #58a6ff } .mark1 { fill: #f0883e; stroke: #f0883e }
    .mark2 { fill: #56d364; stroke: #56d364 } .mark3 { fill: #bc8cff; stroke: #bc8cff }
    .mark4 { fill: #8b949e; stroke: #8b949e }
  }
"""


def plot(title: str, panels: Mapping[str, Panel]) -> str:
    """Return the plot. A mark is the median, the line through it goes from lowest to highest."""
    cases = [case for panel in panels.values() for case in panel.values()]
    names = list(dict.fromkeys(name for case in cases for name in case))
    every = [ratio for case in cases for ratios in case.values() for ratio in ratios]
    lowest, highest = floor(log2(min(every))), ceil(log2(max(every))) or 1

    def across(ratio: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (log2(ratio) - lowest) / (highest - lowest)

    def draw_axis(top: float, bottom: float) -> Iterator[str]:
        for power in range(lowest, highest + 1):
            x = across(2.0**power)
            kind = "one" if power == 0 else "grid"
            yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{2.0**power:g}x</text>'

    def draw_case(case: str, by_name: Mapping[str, Sequence[float]], y: float) -> Iterator[str]:
        yield f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(case)}</text>'
        for name, ratios in by_name.items():
            kind = f"mark{names.index(name)}"
            first, middle, last = map(across, (min(ratios), median(ratios), max(ratios)))
            yield f'<line class="{kind}" x1="{first:.1f}" x2="{last:.1f}" y1="{y}" y2="{y}"/>'
            yield f'<circle class="{kind}" cx="{middle:.1f}" cy="{y}" r="4"/>'

    parts = [f'<text x="20" y="20">{escape(title)}</text>']
    x = 20.0
    for place, name in enumerate(names):
        parts.append(f'<circle class="mark{place}" cx="{x:.1f}" cy="38" r="4"/>')
        parts.append(f'<text x="{x + 8:.1f}" y="42">{escape(name)}</text>')
        x += LETTER * len(name) + 28
    y = TOP
    for loop, panel in panels.items():
        parts.append(f'<text x="20" y="{y - 8}">{escape(loop)}</text>')
        bottom = y + LINE * len(panel)
        parts += draw_axis(y, bottom)
        for number, (case, by_name) in enumerate(panel.items()):
            parts += draw_case(case, by_name, y + LINE * (number + 0.5))
        y = bottom + GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y - 20}">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )
