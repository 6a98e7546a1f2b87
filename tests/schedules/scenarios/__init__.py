"""The scenarios. One of your own goes into this list."""

from collections.abc import Awaitable, Callable

from schedules.play import Play
from schedules.scenarios.cutting import cutting
from schedules.scenarios.ending import ending
from schedules.scenarios.matching import matching
from schedules.scenarios.reading import reading
from schedules.scenarios.returning import returning
from schedules.scenarios.sending import sending

SCENARIOS: dict[str, Callable[[Play], Awaitable[None]]] = {
    scenario.__name__: scenario
    for scenario in (reading, ending, cutting, sending, matching, returning)
}
