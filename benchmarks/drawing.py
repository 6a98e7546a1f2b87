"""Plots of what was measured: SVG with its text as text, for light and dark pages.

matplotlib draws them in colours that stand for names; a style sheet in the file says what those
are, once for light pages and once for dark ones.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from statistics import median
from typing import Any, Final
from xml.sax.saxutils import escape

Series = Mapping[float, Sequence[float]]
"""By place on the horizontal axis, what was measured in each round."""

WIDTH: Final = 9.0
HEIGHT: Final = 3.4
MARKED: Final = 20
"""Places of a line that have a mark, at most; a line with more has none."""
COLUMNS: Final = 3
"""Panels side by side, at most, and names in a line of the legend."""

INK: Final = "#010101"
PAPER: Final = "#fefefe"
GRID: Final = "#808080"
MARKS: Final = [f"#0000f{digit:x}" for digit in range(12)]
COLOURS: Final = {
    INK: ("#1f2328", "#e6edf3"),
    PAPER: ("#ffffff", "#0d1117"),
    GRID: ("#d1d9e0", "#30363d"),
    **dict(
        zip(
            MARKS,
            [
                ("#0969da", "#58a6ff"),
                ("#bc4c00", "#f0883e"),
                ("#1a7f37", "#56d364"),
                ("#8250df", "#bc8cff"),
                ("#6e7781", "#8b949e"),
                ("#bf3989", "#f778ba"),
                ("#1b7c83", "#39c5cf"),
                ("#9a6700", "#d29922"),
                ("#cf222e", "#ff7b72"),
                ("#0a3069", "#a5d6ff"),
                ("#4d2d00", "#ffdfb6"),
                ("#116329", "#aff5b4"),
            ],
            strict=True,
        )
    ),
}
"""What each colour is on light pages, and on dark ones."""
SHAPES: Final = "osD^vPX<>*ph"

SETTINGS: Final[Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": PAPER,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.facecolor": PAPER,
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "driftline",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def lines(
    title: str,
    panels: Mapping[str, Mapping[str, Series]],
    across: str,
    up: str,
    *,
    ticks: Mapping[float, str] | None = None,
) -> str:
    """Draw a line for each contender through its medians, and from lowest to highest at each.

    Args:
        title: What is shown.
        panels: By their names, what was measured, by contender.
        across: What the horizontal axis is.
        up: What the vertical axis is. Both are logarithmic.
        ticks: What is written at which places of the horizontal axis; without it, at all places
            where something was measured.
    """
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))

    def draw(axes: Any, panel: Mapping[str, Series]) -> None:
        for name, series in panel.items():
            at = sorted(series)
            middles = [median(series[place]) for place in at]
            marked = {} if len(at) <= MARKED else {"marker": ""}
            below = [middle - min(series[place]) for middle, place in zip(middles, at, strict=True)]
            above = [max(series[place]) - middle for middle, place in zip(middles, at, strict=True)]
            axes.errorbar(
                at,
                middles,
                yerr=[below, above] if any(below + above) else None,
                **{**mark(names, name), **marked},
                elinewidth=1,
                linestyle="--" if name.startswith("floor") else "-",
                linewidth=2.2 if name.startswith("driftline") else 1.2,
            )
        every = ticks or {
            place: amount(place) for place in sorted({*chain.from_iterable(panel.values())})
        }
        axes.set(xscale="log", yscale="log", xlabel=across)
        axes.yaxis.set_major_formatter(lambda value, _: amount(value))
        axes.set_xticks(list(every), list(every.values()))
        axes.minorticks_off()

    return drawn(title, panels, draw, names, up=up)


def ratios(title: str, panels: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> str:
    """Draw a line for each case, with a mark for each contender from lowest to highest.

    The axis is logarithmic, so that twice as cheap and twice as dear are as far from 1.

    Args:
        title: What is shown.
        panels: By their names, the ratios of all rounds, by case and contender.
    """
    names = list(
        dict.fromkeys(name for panel in panels.values() for case in panel.values() for name in case)
    )
    cases = list(dict.fromkeys(case for panel in panels.values() for case in panel))

    def draw(axes: Any, panel: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
        for case, values in panel.items():
            place = cases.index(case)
            for name, rounds in values.items():
                own = mark(names, name)
                axes.plot([min(rounds), max(rounds)], [place, place], color=own["color"])
                axes.plot(median(rounds), place, linestyle="", **own)
        axes.axvline(1, color=INK, linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}x")
        axes.set_yticks(range(len(cases)), cases)
        axes.set_ylim(len(cases) - 0.5, -0.5)

    return drawn(title, panels, draw, names, share_across=True, tall=len(cases))


def bars(title: str, panels: Mapping[str, Mapping[str, Sequence[float]]], along: str) -> str:
    """Draw a bar for each contender as long as its median, and a line from lowest to highest.

    Args:
        title: What is shown.
        panels: By their names, what was measured in each round, by contender.
        along: What the length of a bar is.
    """
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))

    def draw(axes: Any, panel: Mapping[str, Sequence[float]]) -> None:
        for place, name in enumerate(names):
            if name not in panel:
                continue
            middle = median(panel[name])
            own = MARKS[0] if name.startswith("driftline") else MARKS[4]
            axes.barh(place, middle, color=own)
            axes.plot([min(panel[name]), max(panel[name])], [place, place], color=INK, linewidth=1)
        axes.grid(visible=False, axis="y")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(along)
        axes.locator_params(axis="x", nbins=4)
        axes.xaxis.set_major_formatter(lambda value, _: amount(value))

    return drawn(title, panels, draw, [], share_across=True, tall=len(names))


def amount(value: float) -> str:
    """Write the number of a tick."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def mark(names: Sequence[str], name: str) -> dict[str, Any]:
    """Return colour and shape of a contender, the same in every panel."""
    place = names.index(name) % len(MARKS)
    return {"color": MARKS[place], "marker": SHAPES[place], "markersize": 5}


def drawn(
    title: str,
    panels: Mapping[str, Any],
    draw: Callable[[Any, Any], None],
    names: Sequence[str],
    *,
    up: str = "",
    share_across: bool = False,
    tall: int = 0,
) -> str:
    """Return the plot of all panels, with a legend of `names` below."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    columns = min(COLUMNS, len(panels))
    down = -(-len(panels) // columns)
    height = down * max(HEIGHT, 0.9 + 0.27 * tall) + 0.22 * -(-len(names) // COLUMNS)
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        every = figure.subplots(down, columns, squeeze=False, sharex=share_across, sharey=True)
        for axes, (name, panel) in zip(every.flat, panels.items(), strict=True):
            axes.set_title(name, loc="left")
            draw(axes, panel)
        for axes in every[:, 0]:
            axes.set_ylabel(up)
        if names:
            shown = [Line2D([], [], **mark(names, name)) for name in names]
            figure.legend(shown, names, loc="outside lower left", ncols=min(COLUMNS, len(names)))
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return themed(title, written.getvalue())


def themed(title: str, svg: str) -> str:
    """Return the drawing with a title, and with colours that go with the page."""
    light, dark = ("", "")
    for number, (name, (on_light, on_dark)) in enumerate(COLOURS.items()):
        svg = svg.replace(name, f"var(--c{number})")
        light += f"--c{number}:{on_light};"
        dark += f"--c{number}:{on_dark};"
    style = f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
    head, opening, body = svg.partition("<svg ")
    attributes, closing, rest = body.partition(">")
    named = f"<title>{escape(title)}</title><style>{style}</style>"
    return f"{head}{opening}{attributes}{closing}{named}{rest}"
