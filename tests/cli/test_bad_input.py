"""Bad input: one line that names it, exit code 2, and no file left."""

import shutil
from pathlib import Path

import pytest
import torch

SPACES = {
    "unknown_operator.yaml": "operators: [sep_conv_3x3, sep_conv_3x33]\n",
    "cut_off.yaml": "operators: [sep_conv_3x3\n",
    "three_nodes.yaml": "operators: [conv_3x3]\ntopology: {intermediate_nodes: 3}\n",
    "misspelt.yaml": "operator: [conv_3x3]\n",
    "one_kind.yaml": "operators: [conv_3x3]\ntopology: {kinds: [cell]}\n",
    "vast.yaml": "operators: [conv_3x3]\ntopology: {inputs: 9, intermediate_nodes: 12, edges_per_node: 9}\n",
}

KEYS = [
    ("spce=darts", ["unknown key spce", "did you mean space?"]),
    ("weights.lrr=1", ["unknown key weights.lrr", "weights.lr"]),
    ("objective.parms=1", ["unknown key objective.parms", "did you mean objective.params"]),
    ("data.sise=8", ["unknown key data.sise", "data.size"]),
    ("+unknown=1", ["unknown key unknown"]),
    ("~epochs", ["epochs is missing"]),
    ("~weights.lr", ["weights.lr is missing"]),
    ("~data", ["data.limit: its group was removed"]),
    ("+preset=quick", ["preset: is already set", "preset=<value>"]),
    ("+data.pad=1", ["data.pad: is already set"]),
    ("preset=quik", ["preset=quik", "did you mean quick?"]),
    ("preset=null", ["preset"]),
]
TYPES = [
    ("epochs=ten", ["epochs=ten", "whole number"]),
    ("epochs=null", ["epochs=null", "whole number"]),
    ("epochs=1e3", ["epochs=1000.0", "whole number"]),
    ("seed=1.5", ["seed=1.5", "whole number"]),
    ("data.flip=7", ["data.flip=7", "true or false"]),
    ("data.limit=true", ["data.limit=True", "whole number or null"]),
    ("weights=3", ["weights=3", "weights.<name>=<value>"]),
    ("space=[tiny,darts]", ["space=", "must be a string"]),
    ("space=3", ["space=3", "must be a string"]),
    ("resume=7", ["resume=7"]),
    ("space=${nope}", ["nope"]),
    ("space=${epochs}", ["space=1", "must be a string"]),
]
SIZES = [
    ("epochs=0", ["epochs=0", "at least 1"]),
    ("batch_size=-1", ["batch_size=-1", "at least 2"]),
    ("batch_size=1", ["batch_size=1", "at least 2: BatchNorm compares images"]),
    ("channels=0", ["channels=0", "at least 1"]),
    ("cells=2", ["cells=2", "at least 3"]),
    ("data.size=0", ["data.size=0", "1 or more"]),
    ("data.limit=0", ["data.limit=0", "1 or more"]),
    ("data.limit=1", ["1 training images", "split"]),
    ("max_minutes=0", ["max_minutes=0", "above 0"]),
    ("max_minutes=nan", ["max_minutes=nan", "above 0"]),
    ("seed=-1", ["seed=-1", "0 or more"]),
    (f"seed={2**63}", [f"seed={2**63}", "below 2**63"]),
    ("threads=0", ["threads=0"]),
    ("weights.lr=nan", ["weights.lr=nan", "above 0"]),
    ("train_fraction=1", ["train_fraction=1", "between 0 and 1"]),
    ("data.cutout=9", ["data.cutout=9", "8x8"]),
    ("objective.params=-1", ["objective.params=-1", "finite and at least 0"]),
    ("objective.macs=inf", ["objective.macs=inf", "finite"]),
    ("objective.cells=0", ["objective.cells=0", "at least 1"]),
    ("order=3", ["order=3", "1 or 2"]),
    ("channels=1000000000", ["channels=1000000000", "at most 100,000"]),
    ("channels=90000", ["channels=90000", "GB"]),
    ("cells=1000000000", ["cells=1000000000", "at most 500"]),
    ("data.size=1000000", ["data.size=1000000", "at most 4096"]),
    ("data.workers=1000000", ["data.workers=1000000", "at most 256"]),
    ("weights.lr=inf", ["weights.lr=inf"]),
    ("weights.weight_decay=1e999", ["weights.weight_decay=inf"]),
    ("max_minutes=inf", ["max_minutes=inf"]),
]
CHOICES = [
    ("precision=fp16", ["precision=fp16", "fp32 or bf16"]),
    ("device=tpu", ["device=tpu", "auto, cpu or cuda"]),
    ("device=mps", ["device=mps", "device=cpu"]),
    ("data=foo", ["data=foo: known are arrays, cifar10, cifar100, csv, digits, folder, torchvision"]),
    ("data.name=foo", ["unknown dataset 'foo'", "digits"]),
    ("space=darst", ["unknown space 'darst'", "did you mean darts?"]),
    ("space=", ["space='': is empty", "darts"]),
    ("space=tiny+", ["space='tiny+'", "missing next to +"]),
    ("space=missing.yaml", ["missing.yaml", "No such file"]),
    ("space=unknown_operator.yaml", ["space=unknown_operator.yaml", "'sep_conv_3x33'", "sep_conv_3x3"]),
    ("space=cut_off.yaml", ["cut_off.yaml, line 2"]),
    ("space=misspelt.yaml", ["misspelt.yaml", "'operator'", "operators"]),
    ("space=one_kind.yaml", ["space one_kind: skeleton=darts needs the kinds of cell normal and reduce, got cell"]),
    ("space=tiny+nb201", ["disagree on inputs", "2 in ", "1 in "]),
    ("space=tiny+three_nodes.yaml", ["disagree on intermediate_nodes", "2 in ", "tiny.yaml", "3 in three_nodes.yaml"]),
]
GRAMMAR = [
    ("a=b=c", ["a=b=c", "quote a value"]),
    ("[1", ["[1", "key=value"]),
    ("lone", ["lone", "key=value"]),
    ("seed=1,2", ["seed=1,2", "-m"]),
    ("--config-name=foo", ["foo"]),
]


@pytest.mark.parametrize(("argument", "parts"), [*KEYS, *TYPES, *SIZES, *CHOICES, *GRAMMAR])
def test_bad_setting(argument, parts, refused, elsewhere):
    for name, text in SPACES.items():
        (elsewhere / name).write_text(text)
    refused([argument], parts)


def test_expected_size_that_cannot_be_computed(refused, elsewhere):
    (elsewhere / "vast.yaml").write_text(SPACES["vast.yaml"])
    refused(["space=vast.yaml", "objective.params=0.1"], ["space=vast", "9 of 20 edges", "expected size"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_no_gpu(refused):
    refused(["device=cuda"], ["device=cuda", "device=cpu"])


OPS = {
    "syntax.py": ("def (:\n", ["ops=syntax.py: SyntaxError"]),
    "raises.py": ("1 / 0\n", ["ops=raises.py: ZeroDivisionError"]),
    "taken.py": (
        "import nas\n@nas.register_operator('conv_1x1')\ndef f(channels, stride, affine): ...\n",
        ["ops=taken.py", "'conv_1x1' is registered already"],
    ),
    "text.txt": ("x\n", ["ops=text.txt", ".py"]),
}


@pytest.mark.parametrize("name", OPS)
def test_bad_operators_file(name, refused, elsewhere):
    text, parts = OPS[name]
    (elsewhere / name).write_text(text)
    refused([f"ops={name}"], parts)


def test_missing_operators_file(refused):
    refused(["ops=nowhere.py"], ["ops=nowhere.py", "no such file"])


@pytest.mark.usefixtures("no_network")
def test_cifar10_without_a_network(refused):
    refused(
        ["data=cifar10", "data.pad=4"],
        ["data=cifar10", "name resolution", "cifar-10-python.tar.gz", "data=digits", "data=folder"],
    )


def test_folder_without_root(refused):
    refused(["data=folder"], ["data=folder", "data.root=PATH"])


def no_train(root: Path) -> None:
    shutil.rmtree(root / "train")


def other_classes(root: Path) -> None:
    (root / "test/dog").rename(root / "test/wolf")


def corrupt(root: Path) -> None:
    path = root / "train/cat/3.png"
    path.write_bytes(path.read_bytes()[:60])


def other_size(root: Path) -> None:
    from PIL import Image

    Image.new("RGB", (9, 9)).save(root / "test/dog/3.png")


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (shutil.rmtree, ["photos: No such file", "data.root"]),
        (no_train, ["photos: found test/; data.root needs train/ and test/"]),
        (other_classes, ["train only: dog", "test only: wolf"]),
        (corrupt, ["train/cat/3.png", "cannot be read as an image"]),
        (other_size, ["test/dog/3.png is 9x9", "data.size=N"]),
    ],
)
def test_damaged_folder_of_images(damage, parts, pictures, refused):
    damage(pictures)
    refused(["data=folder", "data.root=photos"], parts)


@pytest.mark.parametrize(
    ("place", "resume"), [("occupied", "resume=occupied"), ("file", "resume=file"), (".", "'resume=\".\"'")]
)
def test_run_folder_that_is_not_empty(place, resume, refused, elsewhere):
    (elsewhere / "occupied").mkdir()
    (elsewhere / "occupied/thesis.tex").write_text("mine")
    (elsewhere / "file").write_text("mine")
    refused(
        [f"run.dir={place}"], [f"run.dir={place}: already exists", f"resume it with {resume}, or choose another folder"]
    )


def test_run_folder_that_cannot_be_created(refused, elsewhere):
    (elsewhere / "file").write_text("mine")
    refused(["run.dir=file/below"], ["file/below: is a file, a folder is expected"])


@pytest.mark.parametrize("place", ["nowhere", ""])
def test_nothing_to_resume(place, refused):
    refused([f"resume={place}"], [f"resume={place}", "config.yaml is missing"])
