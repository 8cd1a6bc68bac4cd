"""Interpreter of the pickle in a checkpoint: the 32 opcodes and few names that ``torch.save`` emits for plain state.

``torch.load(weights_only=True)`` runs no code, but follows the pickle wherever it leads: lists that contain themselves
or each other (1.8 kB that take for ever to traverse), millions of levels, buffers of any size. Checking the opcodes
first and then calling ``torch.load`` would read the pickle twice by two different programs, which have to agree on
every detail. This interpreter is the only reader: it takes time and memory linear in the pickle, and what it returns is
a tree, in which no list or dict occurs twice.
"""

import math
import pickletools
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MAX_NESTING = 32  # of lists, tuples and dicts in each other; a run's state has 6
MAX_SHARED_TUPLE = 16  # elements; torch's optimizers share their betas
MAX_KEY = 2**31  # integer keys beyond it could be chosen to collide
STORAGES = {
    f"{name}Storage": dtype
    for name, dtype in {
        "Float": torch.float32,
        "Double": torch.float64,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Bool": torch.bool,
        "ComplexFloat": torch.complex64,
        "ComplexDouble": torch.complex128,
    }.items()
}
_ATOMS = (str, int, float, bool, type(None))
_VALUES = ("BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}


class ForeignObjectError(ValueError):
    """An object that is neither a tensor nor plain data; its text is the name of the class or function."""


class _Mark:
    """Beginning of a run of items on the stack."""


class _Name(str):
    """Name of a class or function, as ``module name``; it is never imported."""


class _Storage(tuple[torch.dtype, torch.UntypedStorage]):
    """A storage's dtype and bytes."""


def read_pickle_state(data: bytes, read_storage: Callable[[str, int], torch.UntypedStorage]) -> Any:
    """Return the state pickled in ``data``; raises :class:`ValueError` for anything ``torch.save`` would not write.

    ``read_storage(key, size)`` returns the storage ``key`` of ``size`` bytes.
    """
    machine = _Machine(read_storage)
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "STOP":
            break
        machine.run(opcode.name, argument)
    (state,) = machine.stack
    _check_tree(state)
    return state


class _Machine:
    """Stack and memo of the interpreter."""

    def __init__(self, read_storage: Callable[[str, int], torch.UntypedStorage]) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.read_storage = read_storage
        self.storages: dict[str, _Storage] = {}

    def run(self, opcode: str, argument: Any) -> None:
        """Execute one opcode."""
        if opcode in _VALUES:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET"):
            self.stack.append(_shareable(self.memo[argument]))
        elif opcode == "GLOBAL":
            self.stack.append(_Name(argument))
        elif opcode == "MARK":
            self.stack.append(_Mark)
        elif opcode in ("TUPLE1", "TUPLE2", "TUPLE3", "TUPLE"):
            self.stack.append(tuple(self.pop(int(opcode[-1])) if opcode[-1].isdigit() else self.pop_to_mark()))
        elif opcode in ("APPEND", "APPENDS"):
            items = self.pop(1) if opcode == "APPEND" else self.pop_to_mark()
            self.top(list).extend(items)
        elif opcode in ("SETITEM", "SETITEMS"):
            self.set_items(self.pop(2) if opcode == "SETITEM" else self.pop_to_mark())
        elif opcode == "REDUCE":
            name, arguments = self.pop(2)
            self.stack.append(_call(name, arguments))
        elif opcode == "NEWOBJ":
            name, _ = self.pop(2)
            raise ForeignObjectError(str(name).replace(" ", "."))
        elif opcode == "BUILD":
            (attributes,) = self.pop(1)
            _set_metadata(self.top(OrderedDict), attributes)
        elif opcode == "BINPERSID":
            self.stack.append(self.load_storage(*self.pop(1)))
        elif opcode != "PROTO" or argument != 2:
            raise ValueError(f"opcode {opcode}")

    def pop(self, count: int) -> list[Any]:
        """Remove and return the last ``count`` items, none of them a mark."""
        items = self.stack[-count:]
        if len(items) < count or any(item is _Mark for item in items):
            raise ValueError("stack underflow")
        del self.stack[-count:]
        return items

    def pop_to_mark(self) -> list[Any]:
        """Remove the items after the last mark, and the mark; return the items."""
        start = len(self.stack) - 1
        while self.stack[start] is not _Mark:  # raises IndexError without a mark
            start -= 1
            if start < 0:
                raise ValueError("no mark")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def top(self, kind: type) -> Any:
        """Return the last item, which must be a ``kind``."""
        if not isinstance(self.stack[-1], kind):
            raise ValueError(f"{kind.__name__} expected")  # noqa: TRY004  one kind of error for a bad file
        return self.stack[-1]

    def set_items(self, items: list[Any]) -> None:
        """Set alternating keys and values in the dict on top of the stack."""
        mapping, keys = self.top(dict), items[::2]
        for key in keys:
            if not (type(key) is str or (type(key) is int and 0 <= key < MAX_KEY)):
                raise ValueError("a key that is neither text nor a small integer")
        mapping.update(zip(keys, items[1::2], strict=True))

    def load_storage(self, description: Any) -> _Storage:
        """Return the storage of a persistent id ``("storage", type, key, device, length)``."""
        kind, name, key, _, length = description
        module, _, name = str(name).rpartition(" ")
        if kind != "storage" or module not in ("torch", "torch.storage") or not re.fullmatch(r"[0-9]{1,9}", key):
            raise ValueError("not a storage")
        dtype = STORAGES[name]
        if key not in self.storages:
            size = _count(length) * dtype.itemsize
            self.storages[key] = _Storage((dtype, self.read_storage(key, size)))
        storage = self.storages[key]
        if storage[0] is not dtype or storage[1].nbytes() != _count(length) * dtype.itemsize:
            raise ValueError("a storage described in two ways")
        return storage


def _shareable(value: Any) -> Any:
    """Return a memoized value if referring to it again cannot make the result larger than the file, or cyclic."""
    if isinstance(value, tuple) and not isinstance(value, _Storage):
        shared = len(value) <= MAX_SHARED_TUPLE and all(isinstance(item, _ATOMS) for item in value)
    else:
        shared = isinstance(value, (*_ATOMS, Tensor)) and value is not _Mark
    if not shared:
        raise ValueError(f"a {type(value).__name__} that occurs twice")
    return value


def _call(name: Any, arguments: Any) -> Any:
    """Return what the function ``name``, one of three, returns."""
    if not isinstance(name, _Name) or type(arguments) is not tuple:
        raise ValueError("not a call")
    if name == "collections OrderedDict" and not arguments:
        return OrderedDict()
    if name == "torch._utils _rebuild_tensor_v2":
        return _tensor(*arguments)
    if name == "torch._utils _rebuild_parameter":
        data, requires_grad, hooks = arguments
        if type(data) is not Tensor or hooks:
            raise ValueError("not a parameter")
        return torch.nn.Parameter(data, bool(requires_grad))
    raise ForeignObjectError(name.replace(" ", "."))


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any) -> Tensor:
    """Return a tensor that views ``storage``; every element must lie inside it."""
    if not isinstance(storage, _Storage) or type(size) is not tuple or type(stride) is not tuple or hooks:
        raise ValueError("not a tensor")
    if len(size) != len(stride) or len(size) > MAX_NESTING:
        raise ValueError("size and stride differ in length")
    dtype, untyped = storage
    steps = [(_count(length) - 1) * _count(step) for length, step in zip(size, stride, strict=True)]
    end = _count(offset) + (sum(steps) + 1 if 0 not in size else 0)
    if end * dtype.itemsize > untyped.nbytes() or math.prod(size) >= 2**63:
        raise ValueError("a tensor that reaches beyond its storage")
    tensor = torch.empty(0, dtype=dtype).set_(untyped, offset, size, stride)
    return tensor.requires_grad_() if requires_grad is True else tensor


def _set_metadata(state: OrderedDict[str, Any], attributes: Any) -> None:
    """Set the ``_metadata`` of a module's state dict: the versions of its parts."""
    (metadata,) = attributes.values()
    if list(attributes) != ["_metadata"] or not isinstance(metadata, dict):
        raise ValueError("an attribute of another name")
    for part in metadata.values():
        if not isinstance(part, dict) or not (
            part.keys() <= {"version"} and all(type(v) is int for v in part.values())
        ):
            raise ValueError("metadata of another form")
    state._metadata = metadata  # type: ignore[attr-defined]


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("not a count")
    return value


def _check_tree(state: Any) -> None:
    """Raise :class:`ValueError` if ``state`` holds anything but plain data and tensors, or is nested too deep."""
    pending = [(state, 0)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, dict | list | tuple) and not isinstance(value, _Storage):
            if depth > MAX_NESTING:
                raise ValueError("nested too deep")
            items = value.values() if isinstance(value, dict) else value
            pending += [(item, depth + 1) for item in items]
        elif isinstance(value, _Name) or not isinstance(value, (*_ATOMS, Tensor)):
            raise ValueError(f"a {type(value).__name__}")  # noqa: TRY004
