"""Image files below a class folder, with what the file system knows of them, and what was left out."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nas.core.errors import InputError
from nas.core.terminal import print_warning
from nas.data.decode import image_formats, is_image

_SHOWN = 5  # endings in a message

FileState = tuple[str, int, int, int, int]  # path below the folder of its split, bytes, mtime and ctime in ns, inode
_Identity = tuple[int, int]  # device and inode


@dataclass
class ImageFinder:
    """Search of folders for images; ``left_out`` counts by ending the files that are none.

    A file without a suffix is an image if its content says so. Links to files and folders are followed; hidden files
    and folders are passed over.
    """

    left_out: Counter[str] = field(default_factory=Counter)

    def find(self, folder: Path, below: str) -> list[FileState]:
        """Return the image files in ``folder / below`` and its subfolders, sorted by path.

        Raises :class:`InputError` for a folder that cannot be read, or that a link makes a part of itself.
        """
        above = frozenset(_identity(path) for path in (folder, *folder.parents))
        return sorted(self._find(folder, below, above))

    def _find(self, folder: Path, below: str, above: frozenset[_Identity]) -> list[FileState]:
        files: list[FileState] = []
        try:
            here = _identity(folder / below)
            if here in above:
                raise InputError(f"{folder / below}: links to a folder that contains it; remove the link")
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    name = f"{below}/{entry.name}"
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        files += self._find(folder, name, above | {here})
                    elif self._is_wanted(entry):
                        files.append(_state(name, entry.stat()))
        except OSError as error:
            raise InputError(f"{folder / below}: {error.strerror}") from None
        return files

    def _is_wanted(self, entry: os.DirEntry[str]) -> bool:
        suffix = Path(entry.name).suffix.lower()
        if not entry.is_file():
            self.left_out["broken links" if entry.is_symlink() else "special files"] += 1
        elif suffix in image_formats() or (not suffix and is_image(Path(entry.path))):
            return True
        else:
            self.left_out[suffix or "without a suffix"] += 1
        return False

    def count_loose_images(self, folder: Path) -> None:
        """Count the images that lie beside the class folders in ``folder``."""
        with os.scandir(folder) as entries:
            for entry in entries:
                known = Path(entry.name).suffix.lower() in image_formats()
                if known and not entry.name.startswith(".") and entry.is_file():
                    self.left_out["outside of the class folders"] += 1

    def warn(self, where: object) -> None:
        """Print one line with the number of files that were left out and their endings, if there are any."""
        number = sum(self.left_out.values())
        if number:
            counts = [f"{count} {ending}" for ending, count in self.left_out.most_common(_SHOWN)]
            more = number - sum(count for _, count in self.left_out.most_common(_SHOWN))
            endings = ", ".join([*counts, f"{more} others"] if more else counts)
            files = "1 file is not read as an image" if number == 1 else f"{number:,} files are not read as images"
            print_warning(f"{where}: {files} ({endings})")


def file_state(folder: Path, name: str) -> FileState:
    """Return what the file system knows of the file ``name`` below ``folder``; raise :class:`InputError` naming it."""
    try:
        return _state(name, (folder / name).stat())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / name}: {getattr(error, 'strerror', None) or error}") from None


def _state(name: str, status: os.stat_result) -> FileState:
    return name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _identity(path: Path) -> _Identity:
    status = path.stat()
    return status.st_dev, status.st_ino
