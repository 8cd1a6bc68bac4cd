"""The interpreter of checkpoints: equal to torch.load on what torch.save writes, and linear on malicious pickles."""

import io
import pickle
import time
import zipfile
from collections import OrderedDict

import pytest
import torch

from nas.core.errors import InputError
from nas.storage.checkpoint import load_checkpoint, save_checkpoint
from nas.storage.checkpoint_pickle import MAX_NESTING, STORAGES


def text(word: str) -> bytes:
    return b"X" + len(word).to_bytes(4, "little") + word.encode()


def with_pickle(path, content: bytes):
    """Write a checkpoint of one storage of 16 bytes whose pickle is ``content``, without a seal."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/data/0", torch.arange(4.0).numpy().tobytes())
    return path


def mapping(value: bytes) -> bytes:
    """Return a pickle of ``{"a": <value>}``."""
    return b"\x80\x02}" + text("a") + value + b"s."


def storage(key: str = "0", count: bytes = b"K\x04", kind: bytes = b"ctorch\nFloatStorage\n") -> bytes:
    return b"(" + text("storage") + kind + text(key) + text("cpu") + count + b"tQ"


def tensor(size: bytes, stride: bytes, offset: bytes = b"K\x00", source: bytes | None = None) -> bytes:
    hooks = b"ccollections\nOrderedDict\n)R"
    source = storage() if source is None else source
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + source + offset + size + stride + b"\x89" + hooks + b"tR"


def same(one, two) -> bool:
    if isinstance(one, torch.Tensor):
        equal = torch.equal(one, two) and one.dtype == two.dtype and one.requires_grad == two.requires_grad
        return equal and one.stride() == two.stride() and type(one) is type(two)
    if isinstance(one, dict):
        keys = list(one) == list(two) and type(one) is type(two)
        versions = getattr(one, "_metadata", None) == getattr(two, "_metadata", None)
        return keys and versions and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


def test_a_training_state_equals_what_torch_loads(tmp_path):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam([{"params": [weight]} for weight in model.parameters()])  # the betas are shared
    model(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": torch.get_rng_state(),
        "numbers": [0, 1, -1, 255, 256, 65536, 2**31, -(2**40), 2**62, 0.5, float("inf"), True, False, None],
        "text": ["", "a", "ä€", "x" * 300],
        "nested": {"a": [(1, (2, [3])), ()], 7: {}},
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "views": [torch.arange(12.0).view(3, 4).t(), torch.arange(6)[2:4], torch.zeros(0, 3), torch.tensor(5)],
    }
    for path, save in (
        (tmp_path / "sealed.pt", save_checkpoint),
        (tmp_path / "plain.pt", lambda p, s: torch.save(s, p)),
    ):
        save(path, state)
        loaded = load_checkpoint(path)
        assert same(loaded, torch.load(path, weights_only=True))
        assert same(loaded["views"], state["views"])
        assert loaded["model"]._metadata == state["model"]._metadata


@pytest.mark.parametrize("dtype", STORAGES.values(), ids=str)
def test_every_dtype(dtype, tmp_path):
    save_checkpoint(tmp_path / "a.pt", {"a": torch.tensor([0, 1, 0, 1]).to(dtype)})
    assert same(load_checkpoint(tmp_path / "a.pt"), {"a": torch.tensor([0, 1, 0, 1]).to(dtype)})


def test_tied_tensors_keep_sharing_their_storage(tmp_path):
    weight = torch.ones(3)
    save_checkpoint(tmp_path / "a.pt", {"a": weight, "b": weight, "c": weight[1:]})
    loaded = load_checkpoint(tmp_path / "a.pt")
    loaded["a"].zero_()
    assert loaded["b"].tolist() == [0, 0, 0]
    assert loaded["c"].tolist() == [0, 0]


def test_the_hand_written_form_is_read(tmp_path):
    """Otherwise the refusals below would prove nothing."""
    path = with_pickle(tmp_path / "checkpoint.pt", mapping(tensor(b"K\x02K\x02\x86", b"K\x02K\x01\x86")))
    expected = torch.arange(4.0).view(2, 2)
    assert torch.equal(load_checkpoint(path)["a"], expected)
    assert torch.equal(torch.load(path, weights_only=True)["a"], expected)


def doubled(levels: int, empty: bytes, pair: bytes) -> bytes:
    """Return an object that holds the one before twice, ``levels`` times: a small file, 2**levels when traversed."""
    data = b"\x80\x02}" + text("a") + empty + b"q\x00"
    for number in range(levels):
        get = b"h" + bytes([number])
        data += pair.replace(b"GET", get) + b"q" + bytes([number + 1])
    return data + b"s."


MALICIOUS = {
    "shared lists": doubled(100, b"]", b"](GETGETe"),
    "shared dicts": doubled(100, b"}", b"}(K\x00GETK\x01GETu"),
    "shared tuples": doubled(100, b")", b"GETGET\x86"),
    "list that holds itself": mapping(b"]q\x00h\x00a"),
    "dict that holds itself": b"\x80\x02}q\x00" + text("a") + b"h\x00s.",
    "tuple that holds itself": mapping(b"](q\x00h\x00t"),
    "nested lists": mapping(b"]" * 100_000 + b"a" * 99_999),
    "nested tuples": mapping(b")" + b"\x85" * 100_000),
    "nested dicts": mapping(b"}" + (text("k") + b"}") * 20_000 + b"s" * 20_000),
    "large tuple shared": mapping(b"(" + b"K\x00" * 5000 + b"tq\x00](" + b"h\x00" * 5000 + b"e"),
    "bytes": mapping(b"c_codecs\nencode\n" + text("x") + text("latin1") + b"\x86R"),
    "bytearray": mapping(b"c__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\x00\x02\x85R"),
    "typed tensor": mapping(b"ctorch\nFloatTensor\nJ\x00\x00\x00\x40\x85R"),
    "a call of a name from the memo": mapping(b"cos\nsystem\nq\x00h\x00" + text("true") + b"\x85R"),
    "a name as a value": mapping(b"ccollections\nOrderedDict\n"),
    "a name as a key": b"\x80\x02}ccollections\nOrderedDict\nK\x01s.",
    "a storage as a value": mapping(storage()),
    "a mark as a value": mapping(b"("),
    "a mark from the memo": mapping(b"(q\x00h\x00"),
    "a call with an item that is no tuple": mapping(b"ccollections\nOrderedDict\n]R"),
    "arguments of an ordered dict": mapping(b"ccollections\nOrderedDict\n](K\x01K\x02\x86e\x85R"),
    "attributes of a dict": mapping(b"}" + b"}" + text("_metadata") + b"}sb"),
    "other attributes": mapping(b"ccollections\nOrderedDict\n)R}" + text("__class__") + b"}sb"),
    "metadata of another form": mapping(b"ccollections\nOrderedDict\n)R}" + text("_metadata") + b"K\x01sb"),
    "two states": b"\x80\x02}}.",
    "no state": b"\x80\x02.",
    "an empty stack": b"\x80\x02a.",
    "items without a mark": b"\x80\x02}K\x00K\x01u.",
    "a missing memo": mapping(b"h\x07"),
    "an odd number of items": b"\x80\x02}(K\x00u.",
    "setting items of a number": b"\x80\x02K\x01K\x02K\x03s.",
    "appending to a tuple": b"\x80\x02)K\x01a.",
    "a tuple as a key": b"\x80\x02})K\x01s.",
    "a large integer as a key": b"\x80\x02}\x8a\x05\x00\x00\x00\x00\x01K\x01s.",
    "truncated": mapping(b"]")[:-1],
    "protocol 4": pickle.dumps({"a": 1}, 4),
    "protocol 0": pickle.dumps({"a": 1}, 0),
    "duplicated by DUP": b"\x80\x02}" + text("a") + b"]2as.",
    "beyond the storage": mapping(tensor(b"K\x05\x85", b"K\x01\x85")),
    "offset beyond the storage": mapping(tensor(b"K\x04\x85", b"K\x01\x85", b"K\x01")),
    "stride beyond the storage": mapping(tensor(b"K\x02K\x02\x86", b"K\x03K\x01\x86")),
    "negative stride": mapping(tensor(b"K\x02\x85", b"J\xff\xff\xff\xff\x85", b"K\x03")),
    "negative size": mapping(tensor(b"J\xff\xff\xff\xff\x85", b"K\x01\x85")),
    "negative offset": mapping(tensor(b"K\x01\x85", b"K\x01\x85", b"J\xff\xff\xff\xff")),
    "size of booleans": mapping(tensor(b"\x88\x85", b"K\x01\x85")),
    "size and stride of different length": mapping(tensor(b"K\x02K\x02\x86", b"K\x01\x85")),
    "size as a list": mapping(tensor(b"](K\x02e", b"K\x01\x85")),
    "huge product": mapping(tensor(b"(" + b"J\x00\x00\x00\x7f" * 9 + b"t", b"(" + b"K\x00" * 9 + b"t")),
    "expanded": mapping(tensor(b"J\x00\x00\x00\x40\x85", b"K\x00\x85")),
    "storage of another length": mapping(tensor(b"K\x01\x85", b"K\x01\x85", source=storage(count=b"K\x08"))),
    "storage of another type": mapping(tensor(b"K\x01\x85", b"K\x01\x85", source=storage(kind=b"cos\nsystem\n"))),
    "storage that is missing": mapping(tensor(b"K\x01\x85", b"K\x01\x85", source=storage("1"))),
    "storage of another name": mapping(tensor(b"K\x01\x85", b"K\x01\x85", source=storage("../data.pkl"))),
    "storage named by a superscript": mapping(tensor(b"K\x01\x85", b"K\x01\x85", source=storage("²"))),
    "no storage": mapping(tensor(b"K\x01\x85", b"K\x01\x85", source=b"N")),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_malicious_pickles_are_refused_at_once(name, tmp_path):
    path = with_pickle(tmp_path / "checkpoint.pt", MALICIOUS[name])
    start = time.monotonic()
    with pytest.raises(InputError, match=r"checkpoint\.pt: not a checkpoint"):
        load_checkpoint(path)
    assert time.monotonic() - start < 10


def test_depth_up_to_the_limit(tmp_path):
    depth = MAX_NESTING - 1
    path = with_pickle(tmp_path / "checkpoint.pt", mapping(b"]" * (depth + 1) + b"a" * depth))
    value = load_checkpoint(path)["a"]
    for _ in range(depth):
        (value,) = value
    assert value == []


def test_time_is_linear_in_the_size(tmp_path):
    """Twice the pickle takes about twice the time; four times would be quadratic."""

    def seconds(count: int) -> float:
        content = (
            b"\x80\x02}(" + b"".join(b"J" + n.to_bytes(4, "little") + b"](K\x01K\x02e" for n in range(count)) + b"u."
        )
        path = with_pickle(tmp_path / "checkpoint.pt", content)
        times = []
        for _ in range(3):
            start = time.process_time()
            load_checkpoint(path)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(40_000) < 3 * seconds(20_000)


def test_a_pickle_before_the_archive_is_refused(tmp_path):
    """torch.load reads such a file as the legacy format, in which a few bytes ask for gigabytes."""
    whole = with_pickle(tmp_path / "checkpoint.pt", mapping(tensor(b"K\x04\x85", b"K\x01\x85"))).read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + whole)
    with zipfile.ZipFile(tmp_path / "checkpoint.pt") as archive:  # a valid archive all the same
        assert archive.testzip() is None
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("name", ["archive/evil.py", "other/data/0", "archive/../data/1", "archive/data/x", "data.pkl"])
def test_other_members_are_refused(name, tmp_path):
    path = with_pickle(tmp_path / "checkpoint.pt", mapping(b"K\x01"))
    assert load_checkpoint(path) == {"a": 1}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(path)


def test_another_byte_order_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", mapping(b"K\x01"))
        archive.writestr("archive/byteorder", b"big")
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(path)


def test_the_legacy_format_of_torch_is_refused(tmp_path):
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(1)}, buffer, _use_new_zipfile_serialization=False)
    (tmp_path / "a.pt").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "a.pt")


def test_shared_containers_are_saved_as_several(tmp_path):
    shared = OrderedDict(a=[1], b=torch.ones(1))
    shared._metadata = {"": {"version": 2}}
    state = {"one": shared, "two": shared, "three": (shared["a"], {"a": shared["a"]})}
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "a.pt")
    save_checkpoint(tmp_path / "a.pt", state)
    assert same(load_checkpoint(tmp_path / "a.pt"), state)
