"""The alphas' half of the data between two epochs, as methods may ask for it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.data.batches import Batch, BatchSource
from nas.engine.device import autocast_dtype
from nas.engine.user_functions import Loss
from nas.kernels.batchnorm_stats import discard_batchnorm_stats
from nas.models.functional import exclusive, functional_call
from nas.models.relaxation import Relax
from nas.models.supernet import Supernet
from nas.search.bilevel import ParameterSplit
from nas.search.method import NamedTensors


@dataclass(frozen=True)
class AlphaHalf:
    """A :class:`nas.search.method.Validation`; ``last`` returns the batch of the last alpha step."""

    supernet: Supernet
    parts: ParameterSplit
    batches: BatchSource
    last: Callable[[], Batch]
    precision: str
    criterion: Loss = F.cross_entropy

    def accuracy(self, relax: Relax | None = None) -> tuple[float, float]:
        """Return accuracy (0..1) and cross-entropy on the whole half, with the statistics of each batch."""
        dtype, device = autocast_dtype(self.precision), self.batches.device
        images, correct, loss = 0, 0, 0.0
        self.supernet.train()
        with torch.no_grad():
            for inputs, labels in self.batches.epoch(0):
                with torch.autocast(device.type, dtype, enabled=dtype is not None):
                    logits = self._logits(inputs, {}, relax).float()
                images += len(labels)
                correct += int((logits.argmax(1) == labels).sum())
                loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        return correct / images, loss / images

    def loss(self, alphas: NamedTensors) -> Tensor:
        """Return the search's loss () on the last batch of an alpha step as a function of ``alphas``."""
        images, labels = self.last()
        execution = self.supernet.execution
        self.supernet.train()
        self.supernet.execution = "reference"  # the others cannot be differentiated twice
        try:
            values = {self.parts.names[kind]: value for kind, value in alphas.items()}
            return self.criterion(self._logits(images, values, None), labels)
        finally:
            self.supernet.execution = execution

    def _logits(self, images: Tensor, alphas: NamedTensors, relax: Relax | None) -> Tensor:
        own = {name: value.detach() for name, value in {**self.parts.weights, **self.parts.alphas}.items()}
        buffers = {name: buffer.clone() for name, buffer in self.supernet.named_buffers()}
        args = (images,) if relax is None else (images, relax)
        with discard_batchnorm_stats(), exclusive():
            logits: Tensor = functional_call(
                self.supernet, own | dict(alphas) | buffers, args, tie_weights=self.parts.tied
            )
        return logits
