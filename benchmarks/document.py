"""The page of the documentation that has every table and every plot of a run."""

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from .measure import Table, line

INTRODUCTION = """\
# Measured

The tables and plots of `make bench`, as it made them in {minutes:.0f} minutes.
[benchmarks/README.md](../benchmarks/README.md) says how each is measured and how to read it.
Compare ratios, not times: machines differ, and the same machine differs from hour to hour.
Of each number there is the median, and in brackets the lowest and the highest.

Machine: {machine}.
"""


def document(run: Mapping[str, Any], modules: Mapping[str, ModuleType], plots: str) -> str:
    """Return the page, in Markdown.

    Args:
        run: What was kept of it.
        modules: The benchmarks by their names. The first line of each says what its question is.
        plots: Where, seen from the page, their plots are.
    """
    done = run["benchmarks"]
    minutes = sum(each["seconds"] for each in done.values()) / 60
    parts = [INTRODUCTION.format(minutes=minutes, machine=line(run["machine"]))]
    for name, measured in done.items():
        module = modules[name]
        question = str(module.__doc__).partition("\n")[0]
        commit = measured["commit"]
        other = f", at {commit}" if commit != run["machine"]["commit"] else ""
        parts.append(f"## {question}\n\n`python -m benchmarks {name}`{other}\n")
        if hasattr(module, "plot"):
            parts.append(f"![{question}]({plots}/{name}.svg)\n")
        parts += ["\n".join(section(Table(**table))) for table in measured["tables"]]
    return "\n".join(parts)


def section(table: Table) -> Iterator[str]:
    """Yield the lines of a table, without spaces to align it."""

    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    yield f"### {table.title}\n"
    yield row(table.columns)
    yield f"|{'---|' * len(table.columns)}"
    yield from map(row, table.rows)
    yield ""
    yield from (f"- {note}" for note in table.settings)
    yield ""
