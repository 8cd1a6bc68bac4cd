"""Settings of fault tolerance: checkpoint interval, number of checkpoints kept, response to non-finite numbers."""

from dataclasses import dataclass

from nas.core.validation import require
from nas.engine.fingerprint import read_resume_anyway
from nas.runtime.interval import read_interval

_ON_NAN = ("stop", "skip", "rollback")


@dataclass(frozen=True, kw_only=True)
class FaultTolerance:
    """Settings named as in ``conf/search.yaml`` and ``conf/retrain.yaml``, validated on construction.

    ``checkpoint_every``: additional checkpoints within an epoch, see :func:`nas.runtime.interval.read_interval`; one is
    always written after each epoch. ``keep_checkpoints``: how many, the newest included.
    ``on_nan``: see :mod:`nas.engine.loop`. ``resume_anyway``: the groups of the fingerprint whose changes are accepted
    on resume, see :mod:`nas.engine.fingerprint`.
    """

    checkpoint_every: int | str | None = None
    keep_checkpoints: int = 2
    on_nan: str = "stop"
    resume_anyway: str | None = None

    def __post_init__(self) -> None:
        read_interval("checkpoint_every", self.checkpoint_every)
        read_resume_anyway(self.resume_anyway)
        kept = self.keep_checkpoints
        require("keep_checkpoints", kept, 1 <= kept <= 1000, "must lie in 1..1000")
        require("on_nan", self.on_nan, self.on_nan in _ON_NAN, f"must be {', '.join(_ON_NAN[:-1])} or {_ON_NAN[-1]}")
