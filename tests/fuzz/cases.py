"""The fuzzer's cases: a space or a genotype, a network of it and a batch, all of them functions of one seed."""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import nas
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.ops.registry import Operator, operators
from tests.fuzz.alterations import ALTERATIONS, Alteration, alter
from tests.fuzz.layers import Recipe, build_recipe
from tests.fuzz.recipes import SHIPPED, draw_recipe

CLASSES = 3
MAX_CHOICES = 60  # operators on all edges of all cells: what keeps a case at a second or two
MAX_VALUES = 6000  # of a feature map of the first cell
MODES = {  # what is computed, and how often it is drawn
    "search": {"order 1": 6, "order 2": 4, "backward": 4, "no grad": 1, "double backward": 1, "torch.func": 1},
    "train": {"backward": 8, "no grad": 1},
}
IMAGES = {"normal": 14, "zero": 1, "equal": 1, "shifted": 2, "channels_last": 2}
FROZEN = (0.0, 0.0, 0.0, 0.0, 0.3, 0.7)  # shares of the BatchNorms that are in evaluation mode
NAMES = ("first", "second", "third", "fourth", "identity")  # of operators; the last one has met a key of that name


@dataclass(frozen=True)
class Drawn:
    """An operator that does not ship: its recipe, and how it is registered."""

    name: str
    recipe: Recipe
    batchnorm_in_search: bool = False
    batched: bool = False  # brings a form of its own for several edges

    def build(self, channels: int, stride: int, affine: bool) -> nn.Module:
        """Return the operator's module; its recipe says what is affine."""
        return build_recipe(self.recipe, channels, channels, stride)

    def keeps_contract(self) -> bool:
        """Whether its output has the shape and type that docs/operators.md asks for, and its input stays as it is."""
        return all(_keeps_contract(self.build(4, stride, False).double(), stride) for stride in (1, 2))


def _keeps_contract(module: nn.Module, stride: int) -> bool:
    x = torch.linspace(-2, 7, 200, dtype=torch.float64).view(2, 4, 5, 5)
    before = x.clone()
    with torch.no_grad():
        y = module(x)
    wanted = (2, 4, -(-5 // stride), -(-5 // stride))
    return isinstance(y, Tensor) and y.shape == wanted and y.dtype is x.dtype and torch.equal(x, before)


@dataclass(frozen=True)
class Case:
    """One case: everything that its computation depends on."""

    seed: int
    path: str  # "search": the supernet; "train": the network of a genotype
    mode: str
    train: bool
    operators: tuple[str | Drawn, ...]
    inputs: int
    nodes: int
    edges_per_node: int
    channels: int
    cells: int
    batch: int
    height: int
    width: int
    images: str = "normal"
    alpha_scale: float = 1.0
    frozen: float = 0.0
    alterations: tuple[Alteration, ...] = ()
    stem: str = "cifar"  # of a network
    auxiliary: bool = False
    drop_path: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The operators' names."""
        return tuple(o if isinstance(o, str) else o.name for o in self.operators)

    def keeps_contract(self) -> bool:
        """Whether every operator does what the contract of operators asks for."""
        return all(o.keeps_contract() for o in self.operators if isinstance(o, Drawn))

    def describe(self) -> str:
        """Return the case as a line to read."""
        return repr(self)


def draw_case(seed: int) -> Case:
    """Return the case of ``seed``."""
    rng = random.Random(seed)
    path = rng.choices(("search", "train"), (3, 1))[0]
    modes = MODES[path]
    inputs = rng.choices((1, 2, 3), (2, 5, 2))[0]
    nodes, cells = rng.choices((1, 2, 3, 4), (4, 5, 2, 1))[0], rng.choices((1, 2, 3, 4), (4, 3, 3, 1))[0]
    edges = sum(inputs + node for node in range(nodes))
    kinds = max(1, min(rng.randint(1, 5), MAX_CHOICES // (edges * cells)))
    channels, batch, height, width = _draw_sizes(rng)
    stem = rng.choices(("cifar", "imagenet"), (4, 1))[0] if inputs == 2 and path == "train" else "cifar"
    return Case(
        seed=seed,
        path=path,
        mode=rng.choices(list(modes), list(modes.values()))[0],
        train=rng.random() < 0.75,
        operators=_draw_operators(rng, kinds, none=path == "search" and rng.random() < 0.3),
        inputs=inputs,
        nodes=nodes,
        edges_per_node=rng.randint(1, inputs),
        channels=channels,
        cells=cells,
        batch=0 if rng.random() < 0.01 else batch,
        height=height,
        width=width,
        images=rng.choices(list(IMAGES), list(IMAGES.values()))[0],
        alpha_scale=rng.choice((1.0, 1.0, 1.0, 1e-3, 0.0, 30.0)),
        frozen=rng.choice(FROZEN),
        alterations=_draw_alterations(rng),
        stem=stem,
        auxiliary=path == "train" and rng.random() < 0.1,
        drop_path=rng.choice((0.0, 0.0, 0.3)) if path == "train" else 0.0,
    )


def _skewed(rng: random.Random, largest: int) -> int:
    """Draw from 1 to ``largest``, small numbers more often."""
    return 1 + int(largest * rng.random() ** 2.5)


def _draw_sizes(rng: random.Random) -> tuple[int, int, int, int]:
    """Draw channels, batch size, height and width."""
    while True:
        sizes = _skewed(rng, 33), rng.randint(1, 8), _skewed(rng, 33), _skewed(rng, 33)
        if math.prod(sizes) <= MAX_VALUES:
            return sizes


def _draw_operators(rng: random.Random, count: int, none: bool) -> tuple[str | Drawn, ...]:
    broken = rng.randrange(count) if rng.random() < 0.02 else -1
    names = list(NAMES)
    if rng.random() < 0.95:
        names.remove("identity")
    rng.shuffle(names)
    shipped = rng.sample(SHIPPED, count)
    chosen: list[str | Drawn] = []
    for index in range(min(count, len(names))):
        if index != broken and rng.random() < 0.45:
            chosen.append(shipped[index])
            continue
        recipe = draw_recipe(rng, broken=index == broken)
        chosen.append(Drawn(names[index], recipe, rng.random() < 0.2, rng.random() < 0.1))
    if none:
        chosen.insert(rng.randint(0, len(chosen)), "none")
    return tuple(chosen)


def _draw_alterations(rng: random.Random) -> tuple[Alteration, ...]:
    count = rng.choices((0, 1, 2, 4), (6, 2, 1, 1))[0]
    return tuple((rng.choice(list(ALTERATIONS)), round(rng.random(), 4)) for _ in range(count))


def build_network(case: Case) -> tuple[nn.Module, list[str]]:
    """Return the case's network in single precision, and what was altered in it.

    BatchNorms have been in use: their running statistics, scales and shifts are drawn.
    """
    torch.manual_seed(case.seed)
    with registered(case):
        network = _supernet(case) if case.path == "search" else _network(case)
    rng = random.Random(case.seed)
    network.train(case.train)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            _use(module)
            if case.frozen and rng.random() < case.frozen:
                module.eval()
    return network, alter(network, case.alterations)


def _use(norm: nn.BatchNorm2d) -> None:
    with torch.no_grad():
        if norm.affine:
            norm.weight.normal_()
            norm.bias.normal_()
        if norm.running_mean is not None:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2.0)


def _supernet(case: Case) -> nn.Module:
    space = Space("fuzz", case.names, case.inputs, case.nodes, case.edges_per_node)
    supernet = nas.Supernet(space, case.channels, case.cells, CLASSES)
    for alpha in supernet.alphas().values():
        nn.init.normal_(alpha, std=case.alpha_scale)
    return supernet


def _network(case: Case) -> nn.Module:
    rng = random.Random(case.seed)
    normal, reduce = ((_draw_edges(rng, case), _draw_concat(case)) for _ in range(2))
    genotype = Genotype(*normal, *reduce, case.inputs, case.edges_per_node)
    network = nas.Network(genotype, case.channels, case.cells, CLASSES, case.auxiliary, case.stem)
    network.drop_path = case.drop_path
    return network


def _draw_edges(rng: random.Random, case: Case) -> tuple[tuple[str, int], ...]:
    targets = range(case.inputs, case.inputs + case.nodes)
    return tuple((rng.choice(case.names), rng.randrange(t)) for t in targets for _ in range(case.edges_per_node))


def _draw_concat(case: Case) -> tuple[int, ...]:
    return tuple(range(case.inputs, case.inputs + case.nodes))


def build_batch(case: Case) -> tuple[Tensor, Tensor]:
    """Return images (B, 3, H, W) in single precision and labels (B,)."""
    generator = torch.Generator().manual_seed(case.seed)
    images = torch.randn(case.batch, 3, case.height, case.width, generator=generator)
    labels = torch.randint(0, CLASSES, (case.batch,), generator=generator)
    if case.images == "zero":
        images = torch.zeros_like(images)
    elif case.images == "equal":
        images = images[:1].expand_as(images).contiguous()
    elif case.images == "shifted":
        images = images + 100
    elif case.images == "channels_last" and case.batch > 1:  # torch 2.14's BatchNorm of one image has a wrong gradient
        images = images.contiguous(memory_format=torch.channels_last)
    return images, labels


@contextmanager
def registered(case: Case) -> Iterator[None]:
    """Within the block the case's drawn operators are registered."""
    drawn = {o.name: o for o in case.operators if isinstance(o, Drawn)}
    for name, o in drawn.items():
        operators.register(name, Operator(name, o.build, o.batchnorm_in_search, _each if o.batched else None))
    try:
        yield
    finally:
        for name in drawn:
            del operators._entries[name]


def _each(modules: list[nn.Module], x: Tensor) -> Tensor:
    """Run the modules one by one: the plainest form for several edges, (B, N*C, H, W) -> (B, N*C, H', W')."""
    parts = x.chunk(len(modules), dim=1)
    return torch.cat([module(part) for module, part in zip(modules, parts, strict=True)], dim=1)
