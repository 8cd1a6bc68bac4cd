"""Export of networks to ONNX and to torch.export's format."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.json_text import format_json
from nas.storage.atomic_files import write_file
from nas.train.network_spec import NetworkSpec

_TOLERANCE = 1e-4  # between the logits of ONNX Runtime and those of torch
_EXTRA = 'needs packages that are missing here: pip install "nas-superops[export]"'


def export_network(
    network: nn.Module, image_shape: tuple[int, int, int], path: Path, metadata: Mapping[str, object] | None = None
) -> float | None:
    """Write ``network`` for any number of images of ``image_shape``: to ``.onnx``, or to ``.pt2`` for torch.export.

    The network is left in evaluation mode. An ONNX file is run in ONNX Runtime first, and the largest difference of its
    logits from torch's is returned. ``metadata``, plain data, goes into the file as JSON: the properties of an ONNX
    model, the file ``metadata.json`` within a ``.pt2``.
    Raises :class:`InputError` for another ending, for missing packages and for a difference above 1e-4.
    """
    writers: dict[str, Callable[..., float | None]] = {".onnx": _onnx, ".pt2": _program}
    if path.suffix not in writers:
        raise InputError(f"{path}: an exported network ends with {' or '.join(writers)}")
    images = torch.randn(2, *image_shape, generator=torch.Generator().manual_seed(0))
    return writers[path.suffix](network.cpu().eval(), images, path, metadata or {})


def image_metadata(spec: NetworkSpec) -> dict[str, object]:
    """Return how images are prepared for the network and what its outputs are called, as plain data.

    A byte is divided by 255 first; then ``mean`` is subtracted and the result divided by ``std``, by channel.
    """
    preparation = None if spec.preparation is None else spec.preparation.to_dict()
    return {
        "mean": list(spec.mean),
        "std": list(spec.std),
        "classes": list(spec.classes),
        "image_shape": list(spec.image_shape),
        "image_dtype": spec.image_dtype,
        "preparation": preparation,
    }


def _program(model: nn.Module, images: Tensor, path: Path, metadata: Mapping[str, object]) -> None:
    program = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={"metadata.json": format_json(metadata)})
    write_file(path, buffer.getvalue())


def _onnx(model: nn.Module, images: Tensor, path: Path, metadata: Mapping[str, object]) -> float:
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
    program.model.metadata_props.update({name: format_json(value) for name, value in metadata.items()})
    data = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = model(images).numpy()
    difference = float(np.abs(session.run(["logits"], {"images": images.numpy()})[0] - expected).max())
    if not difference <= _TOLERANCE:
        raise InputError(f"{path}: not written, ONNX Runtime's logits differ from torch's by {difference:.1e}")
    write_file(path, data)
    return difference
