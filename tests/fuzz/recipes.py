"""Random recipes of operators: chains near those that the fast executions know, and anything else."""

import random

from tests.fuzz.layers import BROKEN, STAYING, STRIDING, WORDS, Recipe

TEMPLATES: tuple[Recipe, ...] = (  # what the kernels fuse, and its neighbors
    ("relu", "dw3", "pw", "bn"),
    ("relu", "dw5_d2", "pw", "bn"),
    ("relu", "dw3", "pw", "bn", "relu", "dw3", "pw", "bn"),
    ("dw3", "bn", "relu6", "pw_to_2", "bn", "pw_x2", "bn", "relu6", "dw3", "bn"),
    ("pw_x6", "bn", "relu6", "dw3", "bn", "relu6", "pw", "bn"),
    ("relu", "pw", "bn"),
    ("relu", "conv3", "bn"),
    ("relu", "halves", "bn"),
    ("max3", "bn"),
    ("avg3", "bn"),
    ("bn",),
    ("pw", "bn"),
    ("dw7",),
    ("identity",),
)
FREE = ("pw", "dw", "conv", "bn", "avg", "transposed")  # layers whose output may be changed in place
SHARES = ("1", "1", "1", "0", "1/2", "1/3")
SHIPPED = (
    "skip_connect",
    "max_pool_3x3",
    "avg_pool_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "conv_1x1",
    "conv_3x3",
    "conv_7x1_1x7",
    "sandglass_3x3_t6",
    "sandglass_3x3_t2_share1of2",
    "sandglass_3x3_t3_share0_dw2",
    "ir_3x3_t3",
    "ir_3x3_t6",
    "variant_a_3x3_t6",
    "variant_b_3x3_t6",
    "variant_c_3x3_t6",
)


def draw_recipe(rng: random.Random, broken: bool = False) -> Recipe:
    """Draw an operator: a chain, a residual, a concatenation or a sum of chains."""
    chain = draw_chain(rng)
    kind = rng.choices(("chain", "residual", "cat", "sum", "nested"), (8, 5, 1, 1, 1))[0]
    if kind == "residual":
        chain = (("residual", rng.choice(SHARES), chain),)
    elif kind in ("cat", "sum"):
        chain = ((kind, chain, draw_chain(rng)),)
    elif kind == "nested":
        chain = (*chain, ("residual", rng.choice(SHARES), draw_chain(rng)), *draw_chain(rng)[:2])
    return (*chain, rng.choice(list(BROKEN))) if broken else chain


def draw_chain(rng: random.Random) -> Recipe:
    """Draw a chain of layers: a template with up to three changes, or words by chance."""
    if rng.random() < 0.2:
        return _trainable(rng.choices(WORDS, k=rng.randint(1, 5)), rng)
    words = list(rng.choice(TEMPLATES))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        place = rng.randrange(len(words))
        change = rng.choice(("replace", "insert", "append", "delete", "repeat"))
        if change == "replace":
            words[place] = rng.choice(_alike(words[place]))
        elif change == "insert":
            words.insert(place, rng.choice(WORDS))
        elif change == "append":
            words.append(rng.choice(list(STAYING)))
        elif change == "repeat":
            words.insert(place, words[place])
        elif len(words) > 1:
            del words[place]
    return _trainable(words, rng)


def _trainable(words: list[str], rng: random.Random) -> Recipe:
    """Replace most activations in place whose input is needed: a node, or a result that a gradient is made of."""
    before = [None, *words[:-1]]
    usable = [previous is not None and previous.startswith(FREE) for previous in before]
    keep = rng.random() < 0.05
    return tuple(word if fine or keep else word.removesuffix("_") for word, fine in zip(words, usable, strict=True))


def _alike(word: str) -> list[str]:
    """Return the words that can stand for ``word`` and begin like it; all of its kind if there is none."""
    kind = list(STRIDING) if word in STRIDING else list(STAYING) if word in STAYING else WORDS
    alike = [other for other in kind if other[:2] == word[:2] and other != word]
    return alike or kind
