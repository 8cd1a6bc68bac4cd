"""The public names: each is documented, with its shapes or units and its errors, and is loaded from one place."""

import ast
import inspect
import re
import textwrap

import pytest
import torch

import nas
import nas.ops
from nas.ops import blocks

NAMES = {f"nas.{name}": getattr(nas, name) for name in nas.__all__ if name != "__version__"}
NAMES |= {f"nas.ops.{name}": getattr(nas.ops, name) for name in nas.ops.__all__ if name not in ("blocks", "operators")}
NAMES |= {f"nas.ops.blocks.{name}": getattr(blocks, name) for name in blocks.__all__}
# What carries a tensor or images: the parameter's name or type, and what its documentation must then have.
TINY = nas.Supernet("tiny", 2, 2)
BATCH = (torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64))
SHAPED = re.compile(r"\b(Tensor|image_shape|Batch)\b")
SHAPE = re.compile(r"\(B[,)]|\([a-z_]+, [a-z_]+|\(channels, height, width\)|uint8 \(|\(N\*?C")


def public_methods(entry: object) -> list[tuple[str, object]]:
    """Return the public functions, class methods and properties that the class itself defines."""
    if not inspect.isclass(entry):
        return []
    kinds = (staticmethod, classmethod, property)
    return [
        (name, member.fget if isinstance(member, property) else getattr(member, "__func__", member))
        for name, member in vars(entry).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, kinds))
    ]


def documentation(entry: object) -> str:
    """Return the docstrings of a function, or of a class and its methods."""
    parts = [inspect.getdoc(entry), *(inspect.getdoc(method) for _, method in public_methods(entry))]
    return "\n".join(part or "" for part in parts)


def own_source(entry: object) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(entry)))


def raised(entry: object) -> set[str]:
    """Return the names of the errors that the function's or class' own code raises."""
    nodes = [node for node in ast.walk(own_source(entry)) if isinstance(node, ast.Raise) and node.exc is not None]
    calls = [node.exc.func if isinstance(node.exc, ast.Call) else node.exc for node in nodes]
    return {call.id for call in calls if isinstance(call, ast.Name) and call.id[0].isupper()}


def test_the_names_that_stay():
    kept = "Genotype Network Space Supernet architecture_gradients cost create_model list_operators load_genotype "
    kept += "load_space register_operator InputError DivergedError list_datasets list_spaces list_cells draw "
    kept += "save_genotype weight_gradients register_dataset"
    assert set(kept.split()) <= set(nas.__all__)
    assert set(nas.__all__) <= set(dir(nas))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nas.nothing  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_documented(name):
    entry = NAMES[name]
    doc = vars(entry)["__doc__"] if inspect.isclass(entry) else entry.__doc__  # not that of a base class
    assert doc, "no docstring of its own"
    assert len(doc.split()) >= 5
    assert not doc.startswith(f"{entry.__name__}("), "written by dataclass"
    for method, function in public_methods(entry):
        assert function.__doc__, f"{method} has no docstring"


@pytest.mark.parametrize("name", NAMES)
def test_its_errors_are_named(name):
    entry = NAMES[name]
    missing = raised(entry) - set(re.findall(r"\w+", documentation(entry)))
    assert not missing, f"raises {missing}, which its documentation does not name"


FAULTS = {
    "nas.Genotype": lambda: nas.Genotype([], [2], [], [2]),
    "nas.Network": lambda: nas.Network(nas.load_genotype("darts_v2"), channels=0),
    "nas.Space": lambda: nas.Space("empty", ()),
    "nas.Supernet": lambda: nas.Supernet("darts", execution="slow"),
    "nas.architecture_gradients": lambda: nas.architecture_gradients(
        nas.Supernet("tiny", 2, 2), BATCH, BATCH, 0.1, order=3
    ),
    "nas.create_model": lambda: nas.create_model("nothing"),
    "nas.draw": lambda: nas.draw("darts_v2", "cell.gif"),
    "nas.load_genotype": lambda: nas.load_genotype("nothing"),
    "nas.load_space": lambda: nas.load_space("nothing"),
    "nas.register_dataset": lambda: nas.register_dataset("digits")(lambda settings: None),
    "nas.register_operator": lambda: nas.register_operator("none")(lambda channels, stride, affine: None),
    "nas.save_genotype": lambda: nas.save_genotype(nas.load_genotype("darts_v2"), "/dev/null/cell.yaml"),
    "nas.ops.register_operator_family": lambda: nas.ops.register_operator_family("a", "a", color="red"),
    "nas.ops.blocks.Residual": lambda: blocks.Residual(torch.nn.Identity(), 4, 2),
    "nas.ops.blocks.conv_norm_act": lambda: blocks.conv_norm_act(4, 4, 2),
    "nas.ops.blocks.depthwise": lambda: blocks.depthwise(4, kernel=2),
    "nas.ops.blocks.inverted_residual_block": lambda: blocks.inverted_residual_block(4, 4, kernel=2, hidden=2),
    "nas.ops.blocks.sandglass_block": lambda: blocks.sandglass_block(4, 4, kernel=2, hidden=2),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_fault_raises_is_documented(name):
    with pytest.raises(nas.InputError):
        FAULTS[name]()
    assert "InputError" in documentation(NAMES[name])


@pytest.mark.parametrize("name", NAMES)
def test_tensors_have_shapes(name):
    entry = NAMES[name]
    functions = [function for _, function in public_methods(entry)] if inspect.isclass(entry) else [entry]
    for function in functions:
        if SHAPED.search(str(inspect.signature(function))):
            assert SHAPE.search(documentation(entry)), f"{function.__name__} takes or returns tensors of unsaid shape"


@pytest.mark.parametrize("name", NAMES)
def test_parameters_have_types(name):
    entry = NAMES[name]
    if inspect.isclass(entry) and issubclass(entry, BaseException):
        return
    parameters = inspect.signature(entry).parameters.values()
    untyped = [p.name for p in parameters if p.annotation is p.empty and p.name != "self"]
    assert not untyped


def test_these_checks_can_fail():
    def undocumented(x: int) -> int:
        """Return the number."""
        if x < 0:
            raise nas.InputError("x")
        raise ValueError(x)

    assert raised(undocumented) - set(re.findall(r"\w+", documentation(undocumented))) == {"ValueError"}
    assert not SHAPE.search(documentation(undocumented))
