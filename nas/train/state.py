"""The state of a training: all that a step changes, saved to and restored from checkpoints.

What is random in a step is seeded by its number (:mod:`nas.train.step`), so no generator is part of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nas.core.errors import InputError
from nas.core.seeding import derive_seed
from nas.engine.checkpoint_checks import checked_load, load_optimizer
from nas.engine.nonfinite import NonFiniteCounts
from nas.engine.running_metrics import RunningMetrics
from nas.engine.snapshot import snapshot
from nas.engine.user_functions import Loss, Metric
from nas.models.network import Network
from nas.storage.checkpoint_format import CHECKPOINT_FORMAT
from nas.train.network_spec import NetworkSpec, network_spec_from_dict
from nas.train.settings import TrainSettings

_Tensors = tuple[Tensor, ...] | list[Tensor]
_SCALARS = ("epoch", "step", "seconds", "test_loss", "test_accuracy", "best_accuracy", "best_epoch")
_LATER_SCALARS = ("test_metric", "best_metric")  # older checkpoints lack them


@dataclass
class TrainState:
    """A training between two steps: ``step`` steps of epoch ``epoch`` are done, in ``seconds`` over all sessions."""

    spec: NetworkSpec
    model: Network
    optimizer: torch.optim.SGD
    average: AveragedModel | None  # of the weights and BatchNorm statistics over the steps (EMA)
    metrics: RunningMetrics
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    test_loss: float | None = None  # of the last epoch that was evaluated
    test_accuracy: float | None = None
    best_accuracy: float | None = None  # of all of them
    best_epoch: int | None = None  # from 0, as all of a state
    nonfinite: NonFiniteCounts = field(default_factory=NonFiniteCounts)
    loss: Loss | None = None  # of the user's own, in place of the cross-entropy; not part of a checkpoint
    metric: Metric | None = None  # likewise, recorded with each evaluation
    test_loss_of: Loss | None = None  # the loss of the evaluation, if it is another one; likewise
    test_images: int | None = None  # the number of the dataset's; likewise
    test_metric: float | None = None  # of the last epoch that was evaluated
    best_metric: float | None = None  # of all of them, if the best network is chosen by it

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """What the training's bits depend on, see :mod:`nas.engine.fingerprint`."""
        return self.spec.fingerprint

    @property
    def eval_model(self) -> Network:
        """The network that is evaluated: the one with averaged weights if there is an average."""
        return self.model if self.average is None else cast("Network", self.average.module)

    def to_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {
            **self.trained_dict(),
            "format": CHECKPOINT_FORMAT,
            "fingerprint": dict(self.fingerprint),
            "weights": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "metrics": self.metrics.sums.tolist(),
            "nonfinite": asdict(self.nonfinite),
            **{name: getattr(self, name) for name in (*_SCALARS, *_LATER_SCALARS)},
        }

    def trained_dict(self) -> dict[str, Any]:
        """Return the part that :func:`nas.train.trained_network.load_trained` needs.

        ``model`` is the evaluated network; it shares its memory with the weights or their average, also in the file.
        """
        return {"network": self.spec.to_dict(), "model": self.eval_model.state_dict()}

    @checked_load("training")
    def load_dict(self, saved: dict[str, Any], where: str) -> None:
        """Restore what :meth:`to_dict` returned; raise :class:`InputError` if it belongs to another training."""
        if saved.get("format") != CHECKPOINT_FORMAT or not saved.keys() >= {"network", "weights", *_SCALARS}:
            raise InputError(f"{where}: not a training checkpoint of format {CHECKPOINT_FORMAT} or older")
        network = network_spec_from_dict(saved["network"], where)
        if saved.get("fingerprint"):  # which has told, or the user has accepted, that the images changed
            network = replace(network, mean=self.spec.mean, std=self.spec.std)
        self.spec.check_same(network, where)
        if (self.average is None) != (saved["average"] is None):
            raise InputError(f"{where}: does not fit this training: one averages its weights (ema), the other does not")
        try:
            self.model.load_state_dict(saved["weights"])
            load_optimizer(self.optimizer, saved["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(saved["average"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(f"{where}: does not fit this training: {str(error).splitlines()[0]}") from error
        self.metrics = RunningMetrics(self.metrics.sums.device, saved["metrics"])
        self.nonfinite = NonFiniteCounts(**saved.get("nonfinite", {}))
        for name in _SCALARS:
            setattr(self, name, saved[name])
        for name in _LATER_SCALARS:
            setattr(self, name, saved.get(name))

    def snapshot(self) -> Callable[[], None]:
        """Return a function that undoes what a step changes before it moves the weights."""
        return snapshot(self.model.buffers())


def init_train_state(
    spec: NetworkSpec, settings: TrainSettings, device: torch.device, initial: Mapping[str, Tensor] | None = None
) -> TrainState:
    """Return a training before its first step, with ``initial`` weights, or drawn from the seed's stream "weights"."""
    torch.manual_seed(derive_seed(settings.seed, "weights"))
    model = spec.build().to(device)
    if initial is not None:
        model.load_state_dict(initial)
    if not settings.compile:  # a compiler chooses its own kernels
        model.execution = settings.execution
    if settings.channels_last:
        model = model.to(memory_format=torch.channels_last)
    weights = settings.weights
    optimizer = torch.optim.SGD(
        model.parameters(), weights.lr, momentum=weights.momentum, weight_decay=weights.weight_decay
    )
    average = None
    if settings.ema is not None:
        average = AveragedModel(model, multi_avg_fn=ema_update(settings.ema), use_buffers=True)
    return TrainState(spec, model, optimizer, average, RunningMetrics(device))


def ema_update(decay: float) -> Callable[[_Tensors, _Tensors, int | Tensor], None]:
    """Return the update of an exponential moving average for :class:`AveragedModel`.

    torch's own averages integer and bool buffers, too, which truncates counters and turns masks true; these are copied.
    """
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    def update(averaged: _Tensors, current: _Tensors, count: int | Tensor) -> None:
        if averaged[0].is_floating_point() or averaged[0].is_complex():  # the lists are of one dtype
            average(averaged, current, count)
        else:
            torch._foreach_copy_(averaged, current)

    return update
