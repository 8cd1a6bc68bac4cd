"""``python -m nas draw | show | ops | spaces``."""

import dataclasses
import re
import subprocess
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

import nas
from nas.cli.commands import COMMANDS
from nas.cli.main import main
from nas.graph.zoo import list_cells, load_genotype
from nas.search.methods import build_method, method_settings, methods
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
    """An older spelling of ``nas cells``."""
    code, out, complaints = small("show")
    assert (code, out.split(), complaints) == (0, list_cells(), ["a list of the cells is now: nas cells"])


def test_ops(small):
    out = small("ops").out.splitlines()
    table = [line for line in out[1 : out.index("")] if not line.startswith(" ")]
    assert [line.split()[0] for line in table] == nas.list_operators()
    assert "ir_3x3_t{t}" in out
    (row,) = [line for line in table if line.startswith("sep_conv_3x3 ")]
    c, side = 16, 32  # two of depthwise 3x3, pointwise, BatchNorm
    params, macs = 2 * (9 * c + c * c + 2 * c), 2 * (9 * c + c * c) * side * side
    assert row.split()[1:4] == [str(params), f"{macs // 1000}", "k"]
    assert "1806.09055" in row


def test_one_operator(small):
    code, out, complaints = small("ops", "ir_3x3_t6")
    assert (code, complaints) == (0, [])
    hidden = 6 * 16
    params = 2 * 16 * hidden + 9 * hidden + 4 * hidden + 2 * 16
    assert f"stride 1, 16 channels at 32x32, as retrained: {params:,} parameters" in out
    assert out.endswith("in the spaces: ir\n")


def test_spaces(small):
    out = small("spaces").out.splitlines()
    table = [line for line in out[1 : out.index("")] if not line.startswith(" ")]
    assert [line.split()[0] for line in table] == [space.name for space in nas.list_spaces()]
    (row,) = [line for line in table if line.startswith("darts ")]
    assert row.split()[1:3] == ["8", "14"]


def test_one_space(small):
    code, out, complaints = small("spaces", "sandglass")
    assert (code, complaints) == (0, [])
    assert "2 inputs, 4 nodes, 14 edges, of which 2 of each node are kept" in out
    assert "\n  sandglass_3x3_t6\n" in out


def test_cells(small, monkeypatch):
    monkeypatch.setattr("nas.cli.commands.cells.list_cells", lambda: ["darts_v2"])  # for time
    row = small("cells").out.splitlines()[1]
    assert row.split() == ["darts_v2", "3.35", "M", "528", "M", "2.63", "%", "quark0/darts"]
    code, out, complaints = small("cells", "darts_v2")
    assert (code, complaints) == (0, [])
    assert out.startswith("darts_v2\n  source: quark0/darts\n")
    assert "test_err 2.63" in out
    assert "multiply-adds" in out.splitlines()[-1]


def test_methods(small):
    out = small("methods").out.splitlines()
    table = [line for line in out[1 : out.index("")] if not line.startswith(" ")]
    assert [line.split()[0] for line in table] == nas.list_methods()
    assert max(map(len, out)) <= 79
    assert any(line.startswith("gdas ") and "1910.04465" in line and " 2.93 " in line for line in table)


@pytest.mark.parametrize("name", nas.list_methods())
def test_one_method(name, small):
    code, out, complaints = small("methods", name)
    assert (code, complaints) == (0, [])
    assert f"method={name}\n" in out
    assert "when to take it: " in out
    for key, value in method_settings(name).items():
        assert f"  {key}={value}\n" in out
    for field in dataclasses.fields(methods[name].settings):
        assert f"  methods.{name}.{field.name}=" in out
    typed = OverridesParser.create().parse_override
    own = re.findall(rf"^  methods\.{name}\.(\w+)=(.*)$", out, re.M)
    build_method(name, {name: {key: typed(f"{key}={value}").value() for key, value in own}})  # typed as shown


def test_unknown_names(small):
    for command, text in (("methods", "unknown method 'x1'"), ("ops", "unknown operator 'x1'"), ("x1", "command 'x1'")):
        code, out, complaints = small(*(["x1"] if command == "x1" else [command, "x1"]))
        assert (code, out, len(complaints)) == (2, "", 1)
        assert text in complaints[0]


def test_version(small):
    code, out, complaints = small("--version")
    assert (code, complaints) == (0, [])
    for part in (f"nas-superops {nas.__version__}", "torch ", "Python ", "kernels: ", "device: ", "threads: "):
        assert part in out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name, small, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/nas"])
    code, out, complaints = small(name, "--help")
    assert (code, complaints) == (0, [])
    assert f"nas {name}" in out
    assert max(map(len, out.splitlines())) <= 79
    shared = {"-o OUTPUT, --output OUTPUT": "--output", "--ops FILE": "--ops"}  # the same wherever they are
    assert all(text in out for text, option in shared.items() if option in out and "key=value" not in out)


def test_the_overview(small):
    code, out, complaints = small("--help")
    assert (code, complaints, small().out) == (0, [], out)
    assert max(map(len, out.splitlines())) <= 79
    for command in COMMANDS.values():
        assert f"\n  {command.name:<11}{command.help}\n" in out


def test_light_commands_need_no_torch(child_environment, tmp_path):
    code = "import sys; sys.modules['torch'] = None; from nas.cli.main import main; main(sys.argv[1:])"
    for words in (["--help"], ["methods", "--help"], ["eval"], ["spaces"], ["search", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *words], env=child_environment, cwd=tmp_path)
        assert done.returncode == 0, words


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
    assert "\nmy_conv " in small("ops", "--ops", "mine.py").out
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
