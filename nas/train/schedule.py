"""Learning rate and drop-path as pure functions of epoch and step, so that a resume has nothing to restore."""

from nas.engine.schedules import cosine
from nas.train.settings import TrainSettings

_PAPER_BATCH = 96  # the batch size that the paper's learning rate belongs to (DARTS, §A.2.1)


def learning_rate(settings: TrainSettings, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of step ``step`` of ``steps`` in ``epoch``, both from 0.

    It rises linearly, step by step, to ``weights.lr`` over the ``warmup_epochs`` (Goyal et al., arXiv 1706.02677,
    §2.2), and then falls epoch by epoch along a cosine towards ``weights.lr_min`` (DARTS, §A.2.1). With
    ``lr_scaling`` both rates are those for a batch of 96 and grow in proportion to the batch (Goyal et al., §2.1).
    """
    scale = settings.batch_size / _PAPER_BATCH if settings.lr_scaling else 1.0
    warmup = settings.warmup_epochs
    if epoch < warmup:
        return scale * settings.weights.lr * (epoch * steps + step + 1) / (warmup * steps)
    part = (epoch - warmup) / (settings.epochs - warmup)
    return scale * cosine(settings.weights.lr, settings.weights.lr_min, part)


def drop_path_probability(settings: TrainSettings, epoch: int) -> float:
    """Return the probability of dropping a path in ``epoch`` (from 0): linear from 0 (DARTS, released code)."""
    return settings.drop_path * epoch / settings.epochs
