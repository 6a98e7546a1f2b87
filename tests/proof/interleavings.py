"""Try every order in which threads can interleave, up to a number of preemptions.

A *scenario* has `threads`, which are functions, and `check()`, which is called when all have ended.
`explore` makes a fresh scenario for each schedule and runs its threads for real, but one at a time.
Before each step it may take the turn from one thread and give it to another.

A *step* is one bytecode instruction, of the modules named by `within`, that can touch what another
thread sees: attributes, items, calls, truth, comparisons. Between steps, threads touch only their
own local variables. Left out, to keep the number of schedules small, are looking up a global name
or a method, which hardly anybody rebinds, and the moment within a step in which a local variable
lets go of an object. What other modules do, and what is written in C, happens in one step.

Schedules are tried with the fewest preemptions first, so the first failure is the shortest. Up to
`bound` preemptions all are tried: most races need one, nearly all need no more than two (Musuvathi
and Qadeer, "Iterative Context Bounding", 2007). Beyond the bound, schedules are drawn at random.

Locks made through `threading` while exploring are replaced by `Lock` and `RLock` of this module,
which tell the explorer who waits for whom. When all threads wait, those that wait with a timeout
time out; without any, it is a deadlock. A thread that blocks where the explorer cannot see it is
reported after `PATIENCE` seconds.

This is written here because frontrun 0.7.0 takes `if inbox: inbox.popleft()` in two threads for
safe, needs its own command or a switch of pytest, and is ten times slower on Python 3.12.
"""

from __future__ import annotations

import dis
import gc
import os
import sys
import threading
import traceback
from _thread import allocate_lock, get_ident, start_new_thread
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import inf
from pathlib import Path
from random import Random
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple, Protocol
from unittest.mock import patch

from proof import FailedSchedule

PATIENCE = 10.0  # seconds without an end, before a schedule is given up
LONGEST = 20_000  # steps; more means that threads wait for each other in a loop

Switches = tuple[tuple[int, int], ...]  # at this step, the turn goes to this thread


class Scenario(Protocol):
    """A few threads that meet, and what must hold afterwards."""

    @property
    def threads(self) -> Sequence[Callable[[], object]]: ...

    def check(self) -> None: ...


class Explored(NamedTuple):
    """How much was tried.

    Attributes:
        schedules: How many schedules ran.
        complete: Whether they are all there are within the bound.
    """

    schedules: int
    complete: bool


class Deadlock(Exception):
    """Every thread waits for a lock, or one never comes back."""


class _Abandoned(BaseException):
    """Ends the threads of a schedule that has failed."""


def explore(
    make: Callable[[], Scenario],
    *,
    within: Iterable[ModuleType],
    bound: int = 2,
    most: int = 20_000,
    at_random: int = 0,
    seed: int = 0,
    replay: Switches | None = None,
) -> Explored:
    """Run the scenario in every schedule within the bound, then in some at random.

    Args:
        make: Makes a fresh scenario.
        within: The modules and packages whose instructions count as steps.
        bound: How many times a thread may lose its turn without ending or waiting.
        most: Stop after so many schedules, and say that they were not complete. Those with as
            many preemptions as the bound are drawn by lot then.
        at_random: How many random schedules to add, with any number of preemptions.
        seed: Where the random schedules start.
        replay: Run this one schedule only, as found in `FailedSchedule.replay`.

    Raises:
        FailedSchedule: A thread or `check()` raised, or the threads never ended.
    """
    modules = list(within)
    with (
        _locks_replaced(modules),
        _steps_reported(modules),
        _on_one_processor(),
        _threads_at_hand() as threads,
    ):
        if replay is not None:
            _try(make, _Planned(replay), threads)
            return Explored(1, False)
        schedules, complete = _explore_within(make, bound, most, Random(seed), threads)
        for number in range(at_random):
            _try(make, _Drawn(seed + number), threads)
        return Explored(schedules + at_random, complete)


def _explore_within(
    make: Callable[[], Scenario], bound: int, most: int, lots: Random, threads: list[_Thread]
) -> Explored:
    schedules = 0
    waiting: list[deque[Switches]] = [deque([()]), *(deque() for _ in range(bound))]
    for preemptions in range(bound + 1):
        if preemptions == bound and len(waiting[bound]) > most - schedules:
            lots.shuffle(waiting[bound])
        while waiting[preemptions]:
            if schedules == most:
                return Explored(schedules, False)
            switches = waiting[preemptions].popleft()
            schedule = _Planned(switches, to_preempt=preemptions < bound)
            _try(make, schedule, threads)
            schedules += 1
            for step, preempts, others in schedule.choices:
                more = waiting[preemptions + preempts]
                more.extend((*switches, (step, other)) for other in others)
    return Explored(schedules, True)


def _try(make: Callable[[], Scenario], schedule: _Planned | _Drawn, threads: list[_Thread]) -> None:
    error = _Run(make(), schedule, threads).error
    if error is None:
        return
    switches = tuple(schedule.taken)
    # Writing the story down is slow, so it is only told of schedules that fail.
    with _threads_at_hand() as others:  # the first may be stuck
        again = _Run(make(), _Planned(switches), others, told=True)
    lines = "\n".join(f"  thread {thread}  {place}" for thread, place in again.story)
    if again.error is None:
        lines += "\n  (and ended well this time: the scenario is not deterministic)"
    what = f"{type(error).__name__}: {error}\n{lines}"
    raise FailedSchedule(
        f"{what}\nsee it again with explore(..., replay={switches})", switches
    ) from error


class _Planned:
    """Threads keep their turn, except at the given switches.

    After these it notes down what else could be chosen: where the thread that has the turn cannot
    keep it, and `to_preempt` says that this is of use, at every other step.
    """

    def __init__(self, switches: Switches, *, to_preempt: bool = False) -> None:
        self.taken = list(switches)
        self.choices: list[tuple[int, bool, list[int]]] = []
        self._plan = dict(switches)
        self._last = switches[-1][0] if switches else -1
        self._to_preempt = to_preempt

    def asks_again(self, step: int) -> float:
        """Return the step before which nobody needs to ask whether a thread keeps its turn."""
        if step < self._last:
            return next(planned for planned in self._plan if planned > step)
        return step if self._to_preempt else inf

    def choose(self, step: int, current: int | None, able: list[int]) -> int:
        usual = able[0] if current is None else current
        if step <= self._last:
            return self._plan.get(step, usual)
        if self._to_preempt or current is None:
            others = [thread for thread in able if thread != usual]
            self.choices.append((step, current is not None, others))
        return usual


class _Drawn:
    """Threads lose their turn by lot."""

    def __init__(self, seed: int) -> None:
        self.taken: list[tuple[int, int]] = []
        self._random = Random(seed)
        self._keep = self._random.choice([0.5, 0.8, 0.9, 0.97])

    def asks_again(self, step: int) -> float:
        return step

    def choose(self, step: int, current: int | None, able: list[int]) -> int:
        if current is not None and self._random.random() < self._keep:
            return current
        chosen = self._random.choice(able)
        self.taken.append((step, chosen))
        return chosen


class _Thread:
    """Takes part in many schedules, since to start it takes as long as most schedules."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ident = 0
        self.turn = allocate_lock()
        self.turn.acquire()
        self._run: _Run | None = None
        self.begin(None, None)
        start_new_thread(self._live, ())

    def begin(self, run: _Run | None, function: Callable[[], object] | None) -> None:
        """Call this function at the next turn. Without one, end."""
        self._run = run
        self.function = function
        self.awaited: Lock | None = None
        self.patient = True
        self.expired = False

    def _live(self) -> None:
        self.ident = get_ident()
        while self._take_part():
            pass

    def _take_part(self) -> bool:
        self.turn.acquire()
        return self._run is not None and self._run.live(self)


@contextmanager
def _threads_at_hand() -> Iterator[list[_Thread]]:
    """Collect threads for one schedule after the other, and let them end."""
    threads: list[_Thread] = []
    try:
        yield threads
    finally:
        for thread in threads:
            thread.begin(None, None)
            if thread.turn.locked():
                thread.turn.release()


class _Run:
    """One schedule from start to end. The thread that has the turn decides who is next."""

    current: _Run | None = None

    def __init__(
        self,
        scenario: Scenario,
        schedule: _Planned | _Drawn,
        threads: list[_Thread],
        *,
        told: bool = False,
    ) -> None:
        self.error: BaseException | None = None
        self.story: list[tuple[int, str]] = []
        self._told = told
        self._schedule = schedule
        self._steps = 0  # and moments at which the turn had to go to another
        self._uneventful = 0.0  # until this step there is nothing to do
        self._ended = allocate_lock()
        self._ended.acquire()
        self._given_up = False
        functions = scenario.threads
        threads.extend(_Thread(number) for number in range(len(threads), len(functions)))
        self._threads = threads[: len(functions)]
        self._alive = list(self._threads)
        self._able = [thread.number for thread in self._threads]
        self._running: _Thread | None = None
        collecting = gc.isenabled()
        gc.disable()  # or finalizers would run at steps that differ from run to run
        _Run.current = self
        try:
            for thread, function in zip(self._threads, functions, strict=True):
                thread.begin(self, function)
            self._pass_on()
            if not self._ended.acquire(timeout=PATIENCE):
                self._give_up(Deadlock(f"a thread is stuck out of sight:\n{self._stuck()}"))
            if self.error is None:
                scenario.check()
        except Exception as error:
            self.error = error
        finally:
            _Run.current = None
            if collecting:
                gc.enable()

    def step(self, code: CodeType, offset: int) -> None:
        """Maybe pass the turn on, before this instruction runs."""
        thread = self._running
        if thread is None or thread.ident != get_ident():
            return
        self._steps += 1
        if self._steps < self._uneventful:
            return
        if self._given_up:
            raise _Abandoned
        if self._told:
            place = _place(code, offset)
            if self.story[-1:] != [(thread.number, place)]:
                self.story.append((thread.number, place))
        if self._steps > LONGEST:
            self._give_up(Deadlock(f"no end after {LONGEST} steps"))
            raise _Abandoned
        if len(self._able) > 1:
            self._pass_on(thread)

    def wait(self, thread: _Thread, lock: Lock, *, patient: bool) -> bool:
        """Let others run until the lock may be free. False if the time is up instead."""
        thread.awaited, thread.patient, thread.expired = lock, patient, False
        self._able.remove(thread.number)
        self._pass_on()
        self._take_turn(thread)
        return not thread.expired

    def freed(self, lock: Lock) -> None:
        """Let those who wait for this lock try again."""
        for thread in self._alive:
            if thread.awaited is lock:
                self._wake(thread)

    def me(self) -> _Thread | None:
        """The explored thread that calls this, if it is one."""
        thread = self._running
        return thread if thread is not None and thread.ident == get_ident() else None

    def _wake(self, thread: _Thread) -> None:
        thread.awaited = None
        self._able.append(thread.number)
        self._able.sort()

    def _pass_on(self, thread: _Thread | None = None) -> None:
        """Give the turn to the chosen thread. Without `thread`, nobody can keep it."""
        able = self._able
        if not able:
            impatient = [each for each in self._alive if not each.patient]
            if not impatient:
                self._give_up(Deadlock("every thread waits for a lock"))
                return
            impatient[0].expired = True
            self._wake(impatient[0])
        chosen = able[0]
        if len(able) > 1:
            keeps = None if thread is None else thread.number
            self._steps += thread is None
            chosen = self._schedule.choose(self._steps, keeps, able)
            if not self._told:
                self._uneventful = min(self._schedule.asks_again(self._steps), LONGEST)
        following = self._threads[chosen]
        if following is not thread:
            self._running = following
            following.turn.release()
            if thread is not None:
                self._take_turn(thread)

    def _take_turn(self, thread: _Thread) -> None:
        thread.turn.acquire()
        if self._given_up:
            raise _Abandoned

    def _give_up(self, error: BaseException) -> None:
        self.error = self.error or error
        self._given_up = True
        self._uneventful = 0
        for thread in self._threads:
            if thread.turn.locked():
                thread.turn.release()
        if self._ended.locked():
            self._ended.release()

    def live(self, thread: _Thread) -> bool:
        """Call the function of a thread that has its first turn. False if all was given up."""
        try:
            if not self._given_up and thread.function is not None:
                _call_in_steps(thread.function)
        except _Abandoned:
            pass
        except BaseException as error:
            self.error = self.error or error
        thread.function = None
        if self._given_up:
            return False
        self._alive.remove(thread)
        self._able.remove(thread.number)
        if self._alive:
            self._pass_on()
        else:
            self._ended.release()
        return True

    def _stuck(self) -> str:
        frame = sys._current_frames().get(self._running.ident) if self._running else None
        return "".join(traceback.format_stack(frame)) if frame else "it has vanished"


class Lock:
    """A lock that tells the explorer who waits. Elsewhere it is an ordinary one."""

    def __init__(self) -> None:
        self._lock = allocate_lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        run = _Run.current
        thread = None if run is None else run.me()
        if run is None or thread is None:
            return self._lock.acquire(blocking, timeout)
        while not self._lock.acquire(blocking=False):
            if not blocking or timeout == 0 or not run.wait(thread, self, patient=timeout < 0):
                return False
        return True

    def release(self) -> None:
        self._lock.release()
        if _Run.current is not None:
            _Run.current.freed(self)

    def locked(self) -> bool:
        return self._lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *raised: object) -> None:
        self.release()


class RLock:
    """The same for `threading.RLock`, with what `threading.Condition` asks of it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner = 0
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not self._is_owned():
            if not self._lock.acquire(blocking, timeout):
                return False
            self._owner = get_ident()
        self._depth += 1
        return True

    def release(self) -> None:
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        self._depth -= 1
        if not self._depth:
            self._owner = 0
            self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *raised: object) -> None:
        self.release()

    def _is_owned(self) -> bool:
        return self._owner == get_ident()

    def _release_save(self) -> int:
        depth, self._depth, self._owner = self._depth, 0, 0
        self._lock.release()
        return depth

    def _acquire_restore(self, depth: int) -> None:
        self._lock.acquire()
        self._owner, self._depth = get_ident(), depth


@contextmanager
def _on_one_processor() -> Iterator[None]:
    """Keep to the processor of this moment: to hand over a turn to another takes twice as long."""
    if sys.platform != "linux":
        yield
        return
    allowed = os.sched_getaffinity(0)
    state = Path("/proc/thread-self/stat").read_text(encoding="utf-8").rpartition(")")[2]
    os.sched_setaffinity(0, {int(state.split()[36])})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def _locks_replaced(modules: Sequence[ModuleType]) -> Iterator[None]:
    """Give the modules our locks, whether they say `threading.Lock` or imported the name."""
    pairs: list[tuple[object, object]] = [(threading.Lock, Lock), (threading.RLock, RLock)]
    places = _places_of(modules)
    with ExitStack() as replaced:
        for module in list(sys.modules.values()):
            if _is_within(getattr(module, "__file__", None), places):
                for name, value in list(vars(module).items()):
                    for original, ours in pairs:
                        if value is original:
                            replaced.enter_context(patch.object(module, name, ours))
        replaced.enter_context(
            patch.multiple(threading, Lock=Lock, RLock=RLock, _allocate_lock=Lock)
        )
        yield


def _places_of(modules: Sequence[ModuleType]) -> tuple[str, ...]:
    """Return the files of modules and the folders of packages."""
    folders = [path + os.sep for module in modules for path in getattr(module, "__path__", ())]
    files = [str(module.__file__) for module in modules if not hasattr(module, "__path__")]
    return (*folders, *files)


def _is_within(file: str | None, places: tuple[str, ...]) -> bool:
    return file is not None and file.startswith(places)


# How to hear of each instruction differs. Before 3.12 there is only `sys.settrace`; in 3.12 and
# 3.13 that misses the first call of each function, and `sys.monitoring` misses nothing.

if sys.version_info >= (3, 12):
    _TOOL = 3  # the numbers 0, 1, 2 and 5 are for debuggers, coverage and the like

    @contextmanager
    def _steps_reported(modules: Sequence[ModuleType]) -> Iterator[None]:
        monitoring = sys.monitoring
        places = _places_of(modules)
        known: dict[int, tuple[CodeType, frozenset[int]]] = {}  # as in `_steps`

        def steps_within(code: CodeType) -> frozenset[int]:
            return _steps(code) if _is_within(code.co_filename, places) else frozenset()

        def step(code: CodeType, offset: int) -> object:
            try:
                _, steps = known[id(code)]
            except KeyError:
                _, steps = known[id(code)] = code, steps_within(code)
            if offset not in steps:
                return monitoring.DISABLE
            if _Run.current is not None:
                _Run.current.step(code, offset)
            return None

        monitoring.use_tool_id(_TOOL, "proof.interleavings")
        try:
            monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, step)
            monitoring.restart_events()
            monitoring.set_events(_TOOL, monitoring.events.INSTRUCTION)
            yield
        finally:
            monitoring.set_events(_TOOL, monitoring.events.NO_EVENTS)
            monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, None)
            monitoring.free_tool_id(_TOOL)

    def _call_in_steps(function: Callable[[], object]) -> None:
        function()

else:
    _places: tuple[str, ...] = ()

    @contextmanager
    def _steps_reported(modules: Sequence[ModuleType]) -> Iterator[None]:
        global _places
        _places = _places_of(modules)
        yield

    def _call_in_steps(function: Callable[[], object]) -> None:
        sys.settrace(_trace)
        try:
            function()
        finally:
            sys.settrace(None)

    def _trace(frame: FrameType, event: str, argument: object) -> Any:
        if not _is_within(frame.f_code.co_filename, _places):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        steps = _steps(frame.f_code)

        def step(frame: FrameType, event: str, argument: object) -> Any:
            if frame.f_lasti in steps and event == "opcode" and _Run.current is not None:
                _Run.current.step(frame.f_code, frame.f_lasti)
            return step

        return step


_LOCAL = (
    *("LOAD_FAST", "STORE_FAST", "DELETE_FAST", "LOAD_CONST", "LOAD_GLOBAL", "LOAD_METHOD"),
    *("LOAD_SUPER_ATTR", "LOAD_ASSERTION_ERROR", "LOAD_CLOSURE", "LOAD_BUILD_CLASS"),
    *("RESUME", "NOP", "CACHE", "PRECALL", "PUSH_NULL", "KW_NAMES", "COPY", "SWAP", "POP_TOP"),
    *("RETURN", "JUMP_FORWARD", "JUMP_BACKWARD", "IS_OP", "UNPACK_SEQUENCE", "MAKE_", "BUILD_"),
    *("LIST_", "PUSH_EXC_INFO", "POP_EXCEPT", "CHECK_EXC_MATCH", "RERAISE", "RAISE_VARARGS"),
    *("END_FOR", "POP_BLOCK", "YIELD_VALUE", "GET_AWAITABLE", "UNARY_NOT"),
)
_ALREADY_A_TRUTH = ("COMPARE_OP", "CONTAINS_OP", "IS_OP", "UNARY_NOT", "TO_BOOL")


# By address, and with the code, so that the address stays its own. To look code up by itself takes
# longer than a step does: its hash is that of all its instructions.
_known: dict[int, tuple[CodeType, frozenset[int]]] = {}


def _steps(code: CodeType) -> frozenset[int]:
    """Return the offsets of the instructions that other threads can notice."""
    if id(code) not in _known:
        _known[id(code)] = code, frozenset(_find_steps(code))
    return _known[id(code)][1]


def _find_steps(code: CodeType) -> set[int]:
    offsets: set[int] = set()
    extended: list[int] = []
    before = ""
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name == "EXTENDED_ARG":
            extended.append(instruction.offset)
            continue
        if not _is_local(instruction, before):
            offsets.update((*extended, instruction.offset))
        extended.clear()
        before = name
    return offsets


def _is_local(instruction: dis.Instruction, before: str) -> bool:
    name = instruction.opname
    if name.startswith(_LOCAL):
        return True
    if name.startswith("POP_JUMP"):
        return name.endswith("NONE") or before in _ALREADY_A_TRUTH
    # From 3.12 the lowest bit says that a method is looked up in order to be called.
    method = name == "LOAD_ATTR" and sys.version_info >= (3, 12) and (instruction.arg or 0) & 1
    return bool(method)


def _place(code: CodeType, offset: int) -> str:
    line = next(
        line for start, end, line in code.co_lines() if start <= offset < end and line is not None
    )
    return f"{Path(code.co_filename).name}:{line} {code.co_qualname}"
