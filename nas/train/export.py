"""Export of networks to ONNX and to torch.export's format."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.storage.atomic_files import write_file

_TOLERANCE = 1e-4  # between the logits of ONNX Runtime and those of torch
_EXTRA = 'needs packages that are missing here: pip install "nas-superops[export]"'


def export_network(network: nn.Module, image_shape: tuple[int, int, int], path: Path) -> float | None:
    """Write ``network`` for any number of images of ``image_shape``: to ``.onnx``, or to ``.pt2`` for torch.export.

    The network is left in evaluation mode. An ONNX file is run in ONNX Runtime first, and the largest difference of its
    logits from torch's is returned.
    Raises :class:`InputError` for another ending, for missing packages and for a difference above 1e-4.
    """
    writers: dict[str, Callable[..., float | None]] = {".onnx": _onnx, ".pt2": _program}
    if path.suffix not in writers:
        raise InputError(f"{path}: an exported network ends with {' or '.join(writers)}")
    images = torch.randn(2, *image_shape, generator=torch.Generator().manual_seed(0))
    return writers[path.suffix](network.cpu().eval(), images, path)


def _program(model: nn.Module, images: Tensor, path: Path) -> None:
    program = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    write_file(path, buffer.getvalue())


def _onnx(model: nn.Module, images: Tensor, path: Path) -> float:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 torch.onnx wants it
    except ImportError:
        raise InputError(f"{path}: ONNX {_EXTRA}") from None
    program = torch.onnx.export(
        model,
        (images,),
        dynamo=True,
        verbose=False,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    assert program is not None
    data = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = model(images).numpy()
    difference = float(np.abs(session.run(["logits"], {"images": images.numpy()})[0] - expected).max())
    if not difference <= _TOLERANCE:
        raise InputError(f"{path}: not written, ONNX Runtime's logits differ from torch's by {difference:.1e}")
    write_file(path, data)
    return difference
