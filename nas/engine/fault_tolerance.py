"""How a run is kept safe: when checkpoints are written, how many are kept, what is done about numbers not finite."""

from dataclasses import dataclass

from nas.core.validation import require
from nas.runtime.interval import read_interval

ON_NAN = ("stop", "skip", "rollback")


@dataclass(frozen=True, kw_only=True)
class FaultTolerance:
    """The keys of ``conf/search.yaml`` and ``conf/retrain.yaml`` of these names; checked when made.

    ``checkpoint_every``: within an epoch, see :func:`nas.runtime.interval.read_interval`; there is one at each epoch's
    end anyway. ``keep_checkpoints``: the newest and those before it. ``on_nan``: see :mod:`nas.engine.loop`.
    """

    checkpoint_every: int | str | None = None
    keep_checkpoints: int = 2
    on_nan: str = "stop"

    def __post_init__(self) -> None:
        read_interval("checkpoint_every", self.checkpoint_every)
        kept = self.keep_checkpoints
        require("keep_checkpoints", kept, 1 <= kept <= 1000, "must lie in 1..1000")
        require("on_nan", self.on_nan, self.on_nan in ON_NAN, f"must be {', '.join(ON_NAN[:-1])} or {ON_NAN[-1]}")
