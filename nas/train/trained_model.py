"""A trained network with the preparation of its images and the names of its classes."""

from pathlib import Path

import torch
from torch import Tensor, nn

from nas.core.errors import DivergedError, InputError
from nas.data.augment import normalize
from nas.data.samples import image_tensor
from nas.engine.named_losses import MARKS, NAMED_LOSSES, NUMBERS
from nas.models.network import Network
from nas.train.network_spec import NetworkSpec, check_spec_fingerprint
from nas.train.trained_network import load_trained


class TrainedModel(nn.Module):
    """Maps prepared images (B, C, H, W) to logits (B, len(classes)): ``model(model.preprocess(image))``.

    ``classes[i]`` is the name of class i, ``image_shape`` the (C, H, W) of the images that it was trained on, and
    ``network`` the :class:`Network` itself. ``spec`` describes the training.
    """

    def __init__(self, network: Network, spec: NetworkSpec) -> None:
        super().__init__()
        self.network, self.spec = network, spec

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, by label."""
        return self.spec.classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
        return self.spec.image_shape

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map prepared images (B, C, H, W), float32, to logits (B, classes)."""
        outputs: Tensor | tuple[Tensor, Tensor] = self.network(x)
        return outputs

    def predict(self, images: object, top: int = 5) -> list[list[tuple[str, float]]]:
        """Return for each image the ``top`` classes with their probabilities (0..1), the most probable first.

        Of a network for several classes at once each class has a probability of its own; one for numbers returns all of
        its targets with their values.
        ``images`` is the path of an image file or a list of paths, which are prepared as those of the training were, or
        what :meth:`preprocess` takes. The network is used as it is: in evaluation mode after :func:`load_model`. Raises
        :class:`InputError` for images that do not fit, and :class:`DivergedError` for outputs that are not finite.
        """
        if isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise InputError(f"top={top!r}: must be a whole number, 1 or more")
        paths = [images] if isinstance(images, str | Path) else images
        if isinstance(paths, list | tuple) and paths and all(isinstance(path, str | Path) for path in paths):
            return [one for path in paths for one in self._probable(self.preprocess(self.read(path)), top)]
        return self._probable(self.preprocess(images), top)

    def read(self, path: str | Path) -> Tensor:
        """Return an image file as uint8 (C, H, W), prepared as in the training; raise :class:`InputError`."""
        if self.spec.preparation is None or self.spec.image_dtype != "uint8":
            raise InputError(f"{path}: the network was not trained on image files; allowed: arrays {self.image_shape}")
        return self.spec.preparation.read(Path(path), self.image_shape)

    def _probable(self, x: Tensor, top: int) -> list[list[tuple[str, float]]]:
        with torch.no_grad():
            outputs = self(x)
        logits = (outputs[0] if isinstance(outputs, tuple) else outputs).float()
        if not logits.isfinite().all():
            raise DivergedError("predict: the network's output is not finite")
        kind = NAMED_LOSSES[self.spec.loss].labels
        if kind == NUMBERS:
            return [list(zip(self.classes, row, strict=True)) for row in logits.tolist()]
        chances = logits.sigmoid() if kind == MARKS else logits.softmax(1)
        values, labels = chances.topk(min(top, len(self.classes)))
        pairs = zip(values.tolist(), labels.tolist(), strict=True)
        return [[(self.classes[label], p) for p, label in zip(*pair, strict=True)] for pair in pairs]

    def preprocess(self, images: object) -> Tensor:
        """Return images normalized as in the training: float32 (B, C, H, W) on the device of the weights.

        ``images`` is one image (C, H, W) or several (B, C, H, W), a tensor or array of the dtype that the network was
        trained on (uint8 or float), or a Pillow image in mode L or RGB. Raises :class:`InputError` for another shape or
        dtype.
        """
        values = image_tensor(images, "preprocess")
        values = values[None] if values.ndim == 3 else values
        wanted = f"{self.spec.image_dtype} {self.image_shape}, one or several"
        if tuple(values.shape[1:]) != self.image_shape or values.ndim != 4:
            raise InputError(f"preprocess: images of shape {tuple(values.shape)}; must be {wanted}")
        if values.dtype != torch.uint8 and not values.is_floating_point():
            raise InputError(f"preprocess: images of {values.dtype}; must be {wanted}")
        if (values.dtype == torch.uint8) != (self.spec.image_dtype == "uint8"):
            raise InputError(f"preprocess: images of {values.dtype}; must be {wanted}: the network was trained on them")
        device = next(self.parameters()).device
        mean, std = (torch.tensor(each, device=device).view(-1, 1, 1) for each in (self.spec.mean, self.spec.std))
        values = values.to(device)
        return normalize(values if values.dtype == torch.uint8 else values.float(), mean, std)


def load_model(path: str | Path) -> TrainedModel:
    """Load a trained network from a run folder, a checkpoint (``.pt``) or ``.safetensors``, in evaluation mode.

    It maps prepared images (B, C, H, W) to logits (B, classes), on the CPU; ``preprocess`` prepares raw images and
    ``classes`` names the labels. No code is run from the file. Raises :class:`InputError` for a file that is missing,
    altered or of another kind, and for operators that are not registered or have changed.
    """
    network, spec = load_trained(Path(path))
    check_spec_fingerprint(spec, str(path), ())
    return TrainedModel(network, spec).eval()
