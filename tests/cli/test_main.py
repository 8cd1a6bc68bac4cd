"""``python -m nas draw | show | ops | spaces``."""

import subprocess
import sys

import pytest
from PIL import Image

import nas
from nas.cli.main import main
from nas.graph.zoo import list_cells, load_genotype
from nas.train.network_spec import NetworkSpec
from nas.train.trained_network import save_weights
from tests.helpers.processes import without_note

CYCLE = """\
normal: {edges: {2: [conv_3x3, 3, conv_3x3, 0], 3: [conv_3x3, 2, conv_3x3, 1]}, concat: [2, 3]}
"""
BACK = "Genotype(normal=[('a', 3), ('a', 0), ('a', 2), ('a', 1)], normal_concat=[2, 3], reduce=[('a', 0), ('a', 1)], "
BACK += "reduce_concat=[2])"


@pytest.fixture
def small(elsewhere, ended):
    return lambda *arguments: ended(lambda: main(arguments))


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_draw(ending, small, elsewhere):
    code, out, complaints = small("draw", "darts_v2", "-o", f"cell.{ending}")
    assert (code, without_note(out), complaints) == (0, f"cell.{ending}\n", [])
    begin = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending]
    assert (elsewhere / f"cell.{ending}").read_bytes().startswith(begin)


def test_draw_names_the_file_after_the_cell(small, elsewhere):
    assert without_note(small("draw", "DARTS_V2").out) == "darts_v2.svg\n"
    assert (elsewhere / "darts_v2.svg").exists()


def test_draw_without_graphviz_says_what_to_install(small, elsewhere, monkeypatch):
    monkeypatch.setenv("PATH", "")
    code, out, complaints = small("draw", "darts_v2", "-o", "cell.png")
    assert (code, complaints) == (0, [])
    assert [line for line in out.splitlines() if "apt install graphviz" in line] == out.splitlines()[1:]
    with Image.open(elsewhere / "cell.png") as image:
        image.load()


@pytest.mark.parametrize("name", list_cells())
def test_show(name, small):
    code, out, complaints = small("show", name)
    assert (code, complaints) == (0, [])
    assert out.startswith("normal cell, output: nodes ")
    notation = next(line for line in out.splitlines() if line.startswith("Genotype("))
    assert nas.load_genotype(notation) == nas.load_genotype(name)
    assert "multiply-adds" in out.splitlines()[-1]


def test_show_without_a_cell_lists_the_cells(small):
    assert small("show").out.split() == list_cells()


def test_ops(small):
    out = small("ops").out.splitlines()
    assert out[: out.index("")] == nas.list_operators()
    assert "ir_3x3_t{t}" in out


def test_spaces(small):
    out = small("spaces").out
    assert "darts: " in out
    assert "sandglass_3x3_t6" in out


def test_user_operators(small, elsewhere):
    (elsewhere / "mine.py").write_text(
        "import nas\nfrom torch import nn\n@nas.register_operator('my_conv', color='#12ab34')\n"
        "def my_conv(channels, stride, affine): return nn.Conv2d(channels, channels, 1, stride)\n"
    )
    cell = "Genotype(normal=[('my_conv', 0), ('my_conv', 1)], normal_concat=[2], "
    cell += "reduce=[('my_conv', 0), ('my_conv', 1)], reduce_concat=[2])"
    code, _, complaints = small("show", cell)
    assert (code, len(complaints)) == (2, 1)
    assert "unknown operator 'my_conv'" in complaints[0]
    assert "my_conv" in small("ops", "--ops", "mine.py").out.splitlines()
    assert small("show", cell, "--ops", "mine.py").code == 0
    assert small("draw", cell, "-o", "cell.svg", "--ops", "mine.py").code == 0
    assert "#12ab34" in (elsewhere / "cell.svg").read_text()


FILES = {
    "text.yaml": "just words\n",
    "cut_off.yaml": "normal: [\n",
    "cycle.txt": BACK,
    "cycle.yaml": CYCLE,
    "evil.txt": "__import__('os').system('touch hacked')",
    "evil.yaml": "!!python/object/apply:os.system ['touch hacked']",
    "picture.yaml": "\x00\x01",
}


@pytest.mark.parametrize("command", ["draw", "show"])
@pytest.mark.parametrize(
    ("cell", "part"),
    [
        ("darts_v3", "did you mean darts_v"),
        ("../../etc/passwd", "unknown cell '../../etc/passwd'"),
        ("", "unknown cell ''"),
        ("missing.yaml", "missing.yaml"),
        ("..", "unknown cell '..'"),
        ("Genotype(normal=[", "notation"),
        (BACK, "cycle 2 → 3 → 2"),
        *((name, name) for name in FILES),
    ],
)
def test_bad_cells(command, cell, part, small, elsewhere):
    for name, text in FILES.items():
        (elsewhere / name).write_text(text)
    code, out, complaints = small(command, cell)
    assert (code, out, len(complaints)) == (2, "", 1)
    assert part in complaints[0]
    assert len(complaints[0]) < 500
    assert {path.name for path in elsewhere.iterdir()} == set(FILES)


@pytest.mark.parametrize("output", ["cell.jpg", "cell", ".svg", "", "blocked/cell.svg"])
def test_bad_outputs_of_draw(output, small, elsewhere):
    (elsewhere / "blocked").write_text("")
    code, out, complaints = small("draw", "darts_v2", "-o", output)
    assert (code, out, len(complaints)) == (2, "", 1)


def test_missing_operators_file(small):
    code, _, complaints = small("ops", "--ops", "nowhere.py")
    assert (code, len(complaints)) == (2, 1)
    assert "nowhere.py: no such file" in complaints[0]


def test_help_without_a_command(small):
    code, out, complaints = small()
    assert (code, complaints) == (0, [])
    assert all(command in out for command in ("draw", "show", "ops", "spaces"))


@pytest.mark.parametrize("arguments", [["ops"], ["spaces"]])
def test_closed_pipe(arguments, elsewhere, child_environment):
    """As in ``python -m nas ops | head -1``."""
    command = [sys.executable, "-m", "nas", *arguments]
    with subprocess.Popen(
        command, env=child_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_export_writes_a_trained_network(small, elsewhere):
    """For torch.export; ONNX is tested in ``tests/train``."""
    genotype = load_genotype("darts_v1")
    images = ((0.5,) * 3, (0.2,) * 3)
    fingerprint = {"torch": "another version"}  # an export does not depend on it
    spec = NetworkSpec(
        genotype, 2, 3, "cifar", False, "digits", ("a", "b"), (3, 8, 8), *images, fingerprint=fingerprint
    )
    save_weights(elsewhere / "net.safetensors", spec.build(), spec)
    code, out, complaints = small("export", "net.safetensors", "-o", "net.pt2")
    assert (code, complaints) == (0, [])
    assert "net.pt2: images (N, 3, 8, 8)" in out
    assert (elsewhere / "net.pt2").stat().st_size > 0
    for words in (["missing.pt", "-o", "net.pt2"], ["net.safetensors", "-o", "net.tflite"]):
        code, _, complaints = small("export", *words)
        assert (code, len(complaints)) == (2, 1)
