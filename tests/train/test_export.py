"""Exported networks compute what torch computes."""

import pytest
import torch

import nas
from nas.core.errors import InputError
from nas.train.export import export_network


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = nas.create_model("darts_v2", channels=4, cells=3, auxiliary=True)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 32, 32))  # statistics that are not those of a fresh network
    return network


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_onnx_gives_the_same_logits_for_any_number_of_images(network, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert export_network(network, (3, 16, 16), tmp_path / "net.onnx") < 1e-4
    images = torch.randn(5, 3, 16, 16)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    found = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    torch.testing.assert_close(found, network.eval()(images).detach(), rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_torch_export_gives_the_same_logits(network, tmp_path):
    export_network(network, (3, 16, 16), tmp_path / "net.pt2")
    program = torch.export.load(tmp_path / "net.pt2").module()
    images = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(program(images), network.eval()(images), rtol=0, atol=1e-6)


def test_another_ending_is_refused(network, tmp_path):
    with pytest.raises(InputError, match=r"ends with \.onnx or \.pt2"):
        export_network(network, (3, 16, 16), tmp_path / "net.tflite")
