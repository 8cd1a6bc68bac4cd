"""Image folders: ``root/train/<class>/…`` and ``root/test/<class>/…``, or one flat folder of classes."""

import os
from pathlib import Path

import torch

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.terminal import print_warning
from nas.data.dataset import Dataset
from nas.data.file_sets import FileListing, load_files
from nas.data.halves import warn_missing_classes
from nas.data.image_files import FileState, ImageFinder
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings
from nas.data.split import split_off_test

_TEST_NAMES = ("test", "val", "valid", "validation")  # of the folder with the test images, the first that is there
_SHOWN = 6  # names in a message
_FORMS = "train/ and test/ (or val/, valid/, validation/), or folders of classes with data.test_fraction=0.2"


@register_dataset("folder")
def load_folder(settings: DataSettings) -> Dataset:
    """Load images in any format that Pillow reads, one folder per class, decoded once and then cached.

    The folder holds ``train`` and one of ``test``, ``val``, ``valid`` and ``validation``; or it is flat, its folders
    are the classes, and ``settings.test_fraction`` of each class are test images. ``settings.valid`` names a folder of
    classes in it, or elsewhere, whose images are for the alphas of a search. Class folders are searched recursively;
    see :class:`nas.data.image_files.ImageFinder` for what counts as an image, and :func:`load_files` for the cache and
    streaming. Raises :class:`InputError` if the folders are not as described, hold one class only, or an image cannot
    be read.
    """
    if settings.root is None:
        raise InputError(f"data=folder needs data.root=PATH, a folder with {_FORMS}; a class is a folder of images")
    root = Path(settings.root).expanduser().resolve()
    finder = ImageFinder()
    names = _folder_names(root)
    flat = "train" not in names and settings.test_fraction is not None
    classes, parts = _flat_parts(root, settings, finder) if flat else _split_parts(root, names, settings, finder)
    if settings.valid is not None:
        parts["valid"] = _valid_part(root, settings.valid, classes, finder)
    finder.warn(f"data.root={root}")
    return load_files(root, classes, parts, settings)


def _flat_parts(
    root: Path, settings: DataSettings, finder: ImageFinder
) -> tuple[tuple[str, ...], dict[str, FileListing]]:
    inner = settings.valid if settings.valid is not None and (root / settings.valid).is_dir() else ""
    classes = tuple(name for name in _classes(root) if name != inner)
    parts = [name for name in _TEST_NAMES if name in classes]
    if parts:
        found = f"found {_shown(list(classes), root)}; {parts[0]}/ would be a class, not test images"
        raise InputError(f"{root}: {found}; allowed: {parts[0]}/ beside train/, or another name")
    listing = list_classes(root, classes, finder)
    assert settings.test_fraction is not None
    train, test = (listing.subset(part) for part in split_off_test(listing.labels, settings.test_fraction))
    warn_missing_classes(test.labels, classes, f"data.test_fraction={settings.test_fraction}: the test set")
    return classes, {"train": train, "test": test}


def _split_parts(
    root: Path, names: list[str], settings: DataSettings, finder: ImageFinder
) -> tuple[tuple[str, ...], dict[str, FileListing]]:
    if "train" not in names:
        found = f"found {_shown(names, root)}; " if names else ""
        raise InputError(f"{root}: {found}data.root needs {_FORMS}")
    tests = [name for name in _TEST_NAMES if name in names and name != settings.valid]
    if settings.test_fraction is not None and tests:
        given = f"data.test_fraction={settings.test_fraction}"
        raise InputError(f"{given}: {root} has train/ and {tests[0]}/ already; leave it out")
    if settings.test_fraction is not None:
        return _flat_parts(root / "train", settings, finder)
    if not tests:
        missing = ", ".join(f"{name}/" for name in _TEST_NAMES)
        hint = "data.test_fraction=0.2 takes them from train/"
        raise InputError(f"{root}: found {_shown(names, root)} and no test images in {missing}: {hint}")
    for unused in tests[1:]:
        print_warning(f"data.root={root}: {unused}/ is not used; data.valid={unused} gives it to a search's alphas")
    classes = _same_classes(root / "train", root / tests[0])
    return classes, {
        "train": list_classes(root / "train", classes, finder),
        "test": list_classes(root / tests[0], classes, finder),
    }


def _valid_part(root: Path, valid: str, classes: tuple[str, ...], finder: ImageFinder) -> FileListing:
    folder = root / valid if (root / valid).is_dir() else Path(valid).expanduser().resolve()
    if not folder.is_dir():
        raise InputError(f"data.valid={valid}: no such folder, neither in {root} nor here")
    names = _classes(folder)
    other = sorted(set(names) - set(classes))
    if other:
        raise InputError(f"data.valid={valid}: has class folders that {root} lacks: {', '.join(other[:_SHOWN])}")
    listing = list_classes(folder, names, finder)
    numbers = torch.tensor([classes.index(name) for name in names])
    listing = FileListing(listing.folder, listing.files, numbers[listing.labels])
    warn_missing_classes(listing.labels, classes, f"data.valid={valid}")
    return listing


def _same_classes(train: Path, test: Path) -> tuple[str, ...]:
    """Return the sorted names of the class folders, which must be the same in both."""
    ours, theirs = set(_classes(train)), set(_classes(test))
    if ours != theirs:
        only = [
            f"{folder.name} only: {', '.join(sorted(names))}"
            for folder, names in ((train, ours - theirs), (test, theirs - ours))
            if names
        ]
        both = f"{train.name}/ and {test.name}/"
        raise InputError(f"data.root={train.parent}: {both} must have the same class folders ({'; '.join(only)})")
    return tuple(sorted(ours))


def _classes(folder: Path) -> tuple[str, ...]:
    names = _folder_names(folder)
    if not names:
        raise InputError(f"{folder}: no class folders; each class needs a folder of images")
    if len(names) == 1:
        raise InputError(f"{folder}: one class only, {format_value(names[0])}; each class needs a folder of its own")
    return tuple(names)


def _folder_names(folder: Path) -> list[str]:
    """Return the sorted names of the folders in ``folder`` that are not hidden."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; data.root needs {_FORMS}") from None


def _shown(names: list[str], root: Path) -> str:
    """Return the folders that were found, for a message; without any, the number of files."""
    if not names:
        return f"{len(os.listdir(root))} files"  # noqa: PTH208 - the count alone
    return ", ".join(f"{name}/" for name in names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def list_classes(folder: Path, classes: tuple[str, ...], finder: ImageFinder) -> FileListing:
    """Return the images in the class folders of ``folder``, sorted within each class, labeled in their order."""
    files: list[FileState] = []
    labels: list[int] = []
    finder.count_loose_images(folder)
    for label, name in enumerate(classes):
        class_files = finder.find(folder, name)
        if not class_files:
            finder.warn(f"data.root={folder}")
            raise InputError(f"{folder / name}: no images; a class needs at least one in each part")
        files += class_files
        labels += [label] * len(class_files)
    return FileListing(folder, files, torch.tensor(labels))
