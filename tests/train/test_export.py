"""Exported networks compute what torch computes."""

import json

import pytest
import torch

import nas
from nas.core.errors import InputError
from nas.train.export import export_network, image_metadata
from nas.train.trained_network import load_trained


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


def test_the_file_says_how_images_are_prepared(tmp_path):
    images = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    data = (images, torch.arange(8) % 2)
    nas.run_training("darts_v2", data, folder=tmp_path / "run", epochs=1, channels=2, cells=3, batch_size=4)
    network, spec = load_trained(tmp_path / "run")
    export_network(network, spec.image_shape, tmp_path / "net.pt2", image_metadata(spec))
    extra = {"metadata.json": ""}
    torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    found = json.loads(extra["metadata.json"])
    assert found["mean"] == pytest.approx((images.double() / 255).mean((0, 2, 3)).tolist())
    assert (found["classes"], found["image_shape"], found["preparation"]) == (["0", "1"], [3, 8, 8], None)
    onnxruntime = pytest.importorskip("onnxruntime")
    export_network(network, spec.image_shape, tmp_path / "net.onnx", image_metadata(spec))
    stored = onnxruntime.InferenceSession(tmp_path / "net.onnx").get_modelmeta().custom_metadata_map
    assert {name: json.loads(value) for name, value in stored.items()} == found
