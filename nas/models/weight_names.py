"""Names of weights as other programs write them, translated into those of :class:`nas.Network`."""

import re
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and DistributedDataParallel, and of torch.compile
_DARTS = (  # names of DARTS' released code, and ours
    (r"\.preprocess([01])\.op\.", r".preprocess.\1."),
    (r"\.preprocess0\.conv_1\.", ".preprocess.0.1.even."),
    (r"\.preprocess0\.conv_2\.", ".preprocess.0.1.odd."),
    (r"\.preprocess0\.bn\.", ".preprocess.0.2."),
    (r"\._ops\.(\d+)\.op\.", r".operators.\1."),
    (r"\._ops\.(\d+)\.conv_1\.", r".operators.\1.1.even."),
    (r"\._ops\.(\d+)\.conv_2\.", r".operators.\1.1.odd."),
    (r"\._ops\.(\d+)\.bn\.", r".operators.\1.2."),
)
_DARTS_AUXILIARY = re.compile(r"auxiliary_head\.features\.(\d+)\.")


def own_names(weights: Mapping[str, Value]) -> dict[str, Value]:
    """Return ``weights`` by the names of :class:`nas.Network`.

    Prefixes that all names have are left out. The names of DARTS' released code (``cells.0._ops.0.op.1.weight``) are
    translated; there, the auxiliary head's features begin with the ReLU and the pool that ours have outside of them.
    """
    named = dict(weights)
    while named:
        prefix = next((each for each in _PREFIXES if all(name.startswith(each) for name in named)), None)
        if prefix is None:
            break
        named = {name.removeprefix(prefix): value for name, value in named.items()}
    return {_from_darts(name): value for name, value in named.items()} if any("._ops." in n for n in named) else named


def _from_darts(name: str) -> str:
    for pattern, ours in _DARTS:
        name = re.sub(pattern, ours, name)
    return _DARTS_AUXILIARY.sub(lambda found: f"auxiliary_head.features.{int(found[1]) - 2}.", name)
