"""A CSV with the path and the label of each image."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nas.core.errors import InputError
from nas.data import Dataset, DataSettings, load_dataset

Make = Callable[..., Path]


@pytest.fixture
def load(make_folder: Make, tmp_path: Path) -> Callable[..., Dataset]:
    """Return a function that loads a CSV, written beside ``images``, with ten cats and dogs for training and test."""
    make_folder(number=10)

    def load_lines(text: str, **changes: object) -> Dataset:
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        root = str(tmp_path / "t.csv")
        return load_dataset(
            DataSettings(**({"name": "csv", "root": root, "cache": str(tmp_path / "cache"), "pad": 0} | changes))
        )

    return load_lines


def lines(part: str, column: bool = True) -> str:
    images = [(f"images/{part}/{name}/{index}.png", name) for name in ("cat", "dog") for index in range(10)]
    return "".join(f"{path},{name}{',' + part if column else ''}\n" for path, name in images)


def test_a_column_names_the_parts(load: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset = load("path,label,part\n" + lines("train") + lines("test"))
    expected = load_dataset("folder", root=str(tmp_path / "images"), cache=str(tmp_path / "cache"))
    assert dataset.classes == expected.classes
    for mine, theirs in ((dataset.train, expected.train), (dataset.test, expected.test)):
        assert torch.equal(mine.images, theirs.images)
        assert torch.equal(mine.labels, theirs.labels)


@pytest.mark.parametrize("header", ["path,label\n", ""])
def test_without_parts_a_fraction_is_the_test(load: Callable[..., Dataset], header: str) -> None:
    dataset = load(header + lines("train", column=False), test_fraction=0.2)
    assert dataset.train.labels.bincount().tolist() == [8, 8]
    assert dataset.test.labels.bincount().tolist() == [2, 2]


def test_the_alphas_have_a_part_or_a_file_of_their_own(load: Callable[..., Dataset], tmp_path: Path) -> None:
    text = "path,label,part\n" + lines("train")
    inside = load(text + lines("test").replace(",test\n", ",val\n"), test_fraction=0.2)
    (tmp_path / "v.csv").write_text(lines("test", column=False))
    outside = load(text, test_fraction=0.2, valid="v.csv")
    assert len(inside.valid) == 20
    assert torch.equal(inside.valid.images, outside.valid.images)


def test_numbers_are_classes_in_the_order_of_their_values(load: Callable[..., Dataset]) -> None:
    text = lines("train", column=False).replace(",cat", ",10").replace(",dog", ",9")
    assert load(text, test_fraction=0.5).classes == ("9", "10")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns"),
        ("path,label\n", "lists no images"),
        ("path,label,kind\na.png,x,y\n", "columns ['path', 'label', 'kind']; must be a CSV of the columns path"),
        ("path,age\na.png,old\n", "line 2: ['old']; must be finite numbers"),
        ("path,age\na.png,inf\n", "line 2: ['inf']; must be finite numbers"),
        ("path,label\na.png\n", "line 2: 1 columns; must have 2: path, label"),
        ("path,label\na.png,\n", "line 2: path or label is empty"),
        ("path,label,part\na.png,x,dev\n", "line 2: part 'dev'; must be train, test, valid"),
        ("path,label,part\na.png,x,train\na.png,x,test\n", "a.png is listed in train and in test"),
        ("path,label\na.png,x\nb.png,x\n", "one class only, ['x']"),
        ("path,label\nnone.png,x\nb.png,y\n", "none.png: No such file"),
    ],
)
def test_a_wrong_line_is_named(load: Callable[..., Dataset], text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text, test_fraction=0.5)
    assert said in str(caught.value)


def test_test_images_are_needed(load: Callable[..., Dataset], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no test images; give a column part .* or data\.test_fraction=0\.2"):
        load(lines("train", column=False))
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        load_dataset("csv", root=str(tmp_path / "t.csv"))


def test_several_labels_of_an_image(load: Callable[..., Dataset]) -> None:
    text = "path,labels\n" + lines("train", column=False).replace(",cat", ",cat; small").replace(
        "dog/0.png,dog", "dog/0.png,"
    )
    dataset = load(text, test_fraction=0.2)
    assert dataset.classes == ("cat", "dog", "small")
    both = torch.cat([dataset.train.labels, dataset.test.labels])
    assert both.sum(0).tolist() == [10, 9, 10]
    assert torch.equal(both[:, 0], both[:, 2])
    assert len(dataset.test) == 4


def test_columns_of_numbers_are_targets(load: Callable[..., Dataset]) -> None:
    paths = [f"images/train/cat/{index}.png" for index in range(10)]
    text = "path,width,part,height\n" + "".join(
        f"{path},{index}.5,{'test' if index > 7 else 'train'},-{index}\n" for index, path in enumerate(paths)
    )
    dataset = load(text)
    assert dataset.classes == ("width", "height")
    assert dataset.test.labels.tolist() == [[8.5, -8], [9.5, -9]]
    assert dataset.train.labels.dtype == torch.float32
