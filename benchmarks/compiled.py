"""What would compiled code bring?

driftline is plain Python, and this is what that costs. A copy of it is compiled by Cython from the
very same source, without a change or a type that is not there already; then deliveries, publishing
and the ways from a thread are measured in fresh processes that take turns.

One copy has all that a delivery goes through compiled, another all but the two modules whose
generators a task awaits. Cython's generators are not those that `types.coroutine` can mark, so it
wraps each in an object written in Python.

It is not among the benchmarks that run when none is named, because it needs a C compiler.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import driftline

from . import deliveries, publish_cost, thread_latency
from .audience import Miscount
from .contenders import Driftline, DriftlineBatches
from .deliveries import BURST
from .loops import ASYNCIO, LOOPS, TRIO
from .measure import Table, Track, in_fresh_process, installed, interleave, ratios, spread

AWAITED = ["subscription", "views"]
OTHERS = [
    "link",
    "turn",
    "hold",
    "milestones",
    "topic",
    "parking/base",
    "parking/on_asyncio",
    "parking/on_threads",
]
PLAIN = "as it is"
FORMS = {PLAIN: [], "compiled, but for what is awaited": OTHERS, "compiled": [*OTHERS, *AWAITED]}
"""Which modules of the core are compiled in each copy."""

FEW = {"turn"}
"""What is compiled to see that it works; all of them take the compiler about a minute."""

ROUNDS = 5


def missing() -> str | None:
    """Return what is not here and needed to compile, if anything."""
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler.split()[0]) is None:
        return "no C compiler"
    for module, name in {"Cython": "Cython", "setuptools": "setuptools"}.items():
        if find_spec(module) is None:
            return f"no {name}"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "no header files of Python"
    return None


def compile_core(folder: Path, modules: Sequence[str]) -> None:
    """Copy driftline, and compile these modules of the core in the copy."""
    package = folder / "driftline"
    shutil.copytree(Path(driftline.__file__).parent, package)
    files = [str(package / "_core" / f"{module}.py") for module in modules]
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "-3", "--inplace", "--quiet"]
    subprocess.run([*command, "--parallel=2", *files], check=True, capture_output=True)


def copy(compiled: Path, to: Path, modules: Sequence[str]) -> None:
    """Copy driftline as it was compiled, but with only these modules compiled."""
    shutil.copytree(compiled, to)
    core = to / "driftline" / "_core"
    for suffix in ("so", "pyd"):
        for file in core.rglob(f"*.{suffix}"):
            if module_of(file, core) not in modules:
                file.unlink()


def module_of(file: Path, core: Path) -> str:
    """Return the module that a file of the core has, as `FORMS` names it."""
    return file.relative_to(core).as_posix().partition(".")[0]


def measure(quick: bool) -> dict[str, float]:
    """Return the microseconds of each case, in this process."""
    size = deliveries.Size(100, 20, 2, 1) if quick else deliveries.Size(1000, 60, 3, 1)
    messages = 50 if quick else 300
    found: dict[str, float] = {}
    for loop in LOOPS:
        if loop is not TRIO:
            one, burst = loop.run(deliveries.turn, loop, Driftline, size)
            _, batches = loop.run(deliveries.turn, loop, DriftlineBatches, size._replace(singles=1))
            found[f"a delivery, one by one, {loop.name}"] = 1e6 / one
            found[f"a delivery, bursts of {BURST}, {loop.name}"] = 1e6 / burst
            found[f"a delivery, bursts of {BURST}, batches, {loop.name}"] = 1e6 / batches
    for waiting in (0, size.readers):
        publishes = publish_cost.Size(waiting, 2000 if waiting == 0 and not quick else 25)
        cost = ASYNCIO.run(publish_cost.turn, ASYNCIO, Driftline, publishes)
        found[f"publish(), {waiting or 'nobody'} waiting, asyncio"] = cost.waiting
    latency = ASYNCIO.run(thread_latency.to_task, ASYNCIO, Driftline, messages)
    found["from a thread to a sleeping task, asyncio"] = latency.p50
    found["from a thread to a sleeping thread"] = thread_latency.to_thread(Driftline, messages).p50
    return found


def measure_in(folder: Path, modules: Sequence[str], quick: bool) -> dict[str, float]:
    """Return what `measure` returns in a fresh process with the copy in that folder."""
    arguments = [str(folder), ",".join(modules), *(["quick"] if quick else [])]
    found: dict[str, float] = in_fresh_process(__name__, *arguments, PYTHONPATH=str(folder))
    return found


def verify(folder: Path, modules: Sequence[str]) -> None:
    """Raise `Miscount` unless driftline is that copy, and these modules of it are compiled."""
    core = folder / "driftline" / "_core"
    files = [
        Path(str(module.__file__))
        for name, module in sys.modules.items()
        if name.startswith("driftline._core")
    ]
    if not all(core in file.parents for file in files) or set(modules) != {
        module_of(file, core) for file in files if file.suffix != ".py"
    }:
        raise Miscount("what was measured is not what was compiled")


def tables(track: Track, quick: bool) -> list[Table]:
    """Compile the copies, and measure them in turns."""
    without = missing()
    if without:
        return [Table("What compiled code would bring", [], ["not measured"], [[without]])]
    with tempfile.TemporaryDirectory() as temporary:
        everything = Path(temporary, "everything")
        forms = {
            form: [module for module in modules if not quick or module in FEW]
            for form, modules in FORMS.items()
        }
        compile_core(everything, max(forms.values(), key=len))
        turns: dict[str, Callable[[], dict[str, float]]] = {}
        for form, modules in track(list(forms.items()), "compiled"):
            folder = Path(temporary, form)
            copy(everything, folder, modules)
            turns[form] = partial(measure_in, folder, modules, quick)
        results = interleave(turns, 2 if quick else ROUNDS)
    return [table(results, forms)]


def table(results: dict[str, list[dict[str, float]]], forms: dict[str, list[str]]) -> Table:
    """Return the times of all cases in each form, and how many times as fast they are."""

    def cells(case: str) -> Iterator[str]:
        plain = [found[case] for found in results[PLAIN]]
        for form in FORMS:
            times = [found[case] for found in results[form]]
            yield spread(times)
            if form != PLAIN:
                yield spread(ratios(plain, times), "x")

    return Table(
        "What compiled code would bring, in microseconds",
        [
            *(f"{form}: {', '.join(modules)}" for form, modules in forms.items() if modules),
            f"{installed('Cython')}, with the flags for C of this Python; the source is unchanged.",
            "as fast: how many times as fast as it is; less than 1 is slower.",
            "A delivery: to one of 1,000 readers. From a thread: half of the messages take less.",
            f"Median and [lowest-highest] of {len(results[PLAIN])} interleaved rounds, each form "
            "in a fresh process each time.",
        ],
        ["", *(column for form in FORMS for column in (form, "as fast")[: 1 + (form != PLAIN)])],
        [[case, *cells(case)] for case in results[PLAIN][0]],
        results,
    )


def main() -> None:
    """Measure the copy in the folder that is given, and print what was found as JSON."""
    folder, modules, *quick = sys.argv[1:]
    found = measure(bool(quick))
    verify(Path(folder), modules.split(",") if modules else [])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
