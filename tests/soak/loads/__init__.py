"""All loads. One of a leaf goes into this list, too."""

from soak.loads.closing import CLOSING
from soak.loads.coming_and_going import COMING_AND_GOING
from soak.loads.epochs import EPOCHS
from soak.loads.flood import FLOOD, TRICKLE
from soak.loads.hub import HUB
from soak.loads.patterns import PATTERNS
from soak.loads.returning import RETURNING
from soak.loads.sending import SENDING
from soak.loads.stalling import STALLING
from soak.loads.threads import THREADS

LOADS = [
    FLOOD,
    TRICKLE,
    COMING_AND_GOING,
    STALLING,
    RETURNING,
    THREADS,
    PATTERNS,
    CLOSING,
    SENDING,
    EPOCHS,
    HUB,
]
