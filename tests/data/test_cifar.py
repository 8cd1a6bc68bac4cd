import hashlib
import io
import os
import pickle  # the format of the published archives
import shutil
import tarfile
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from nas.core.errors import InputError
from nas.data import DataSettings, cifar, load_dataset

PER_FILE = 4


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def write_archive(source: type, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a tiny archive in the published format and patch torchvision's checksums to match."""
    inside = folder / source.base_folder
    inside.mkdir(parents=True)
    random = np.random.default_rng(0)
    fine = source.__name__ == "CIFAR100"

    def write(name: str, content: dict) -> list[str]:
        (inside / name).write_bytes(pickle.dumps(content))
        return [name, md5(inside / name)]

    def images() -> dict:
        data = random.integers(0, 256, (PER_FILE, 3072), np.uint8)
        return {"data": data, "fine_labels" if fine else "labels": list(range(PER_FILE))}

    for kind in ("train_list", "test_list"):
        monkeypatch.setattr(source, kind, [write(name, images()) for name, _ in getattr(source, kind)])
    classes = [f"class {i}" for i in range(100 if fine else 10)]
    _, meta_md5 = write(source.meta["filename"], {source.meta["key"]: classes})
    monkeypatch.setattr(source, "meta", source.meta | {"md5": meta_md5})
    archive = folder / source.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(inside, source.base_folder)
    monkeypatch.setattr(source, "tgz_md5", md5(archive))
    return archive


@pytest.fixture(params=["cifar10", "cifar100"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def source(name: str) -> type:
    return getattr(torchvision.datasets, name.upper())


@pytest.fixture
def archive(source: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_archive(source, tmp_path / "made", monkeypatch)


@pytest.mark.usefixtures("no_network")
def test_an_existing_archive_is_read(name: str, source: type, archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    shutil.copy(archive, root)
    dataset = load_dataset(DataSettings(name, str(root)))
    assert dataset.image_shape == (3, 32, 32)
    assert len(dataset.train) == PER_FILE * len(source.train_list)
    assert len(dataset.test) == PER_FILE
    assert dataset.num_classes == int(name.removeprefix("cifar"))
    assert dataset.classes[3] == "class 3"
    raw = pickle.loads((root / source.base_folder / source.test_list[0][0]).read_bytes())
    assert torch.equal(dataset.test.images.flatten(1), torch.from_numpy(raw["data"]))
    assert dataset.test.labels.tolist() == list(range(PER_FILE))
    (root / source.filename).unlink()  # the unpacked files suffice
    assert torch.equal(load_dataset(DataSettings(name, str(root))).train.images, dataset.train.images)


def test_a_missing_archive_is_downloaded(
    name: str,
    source: type,
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(source, "url", archive.as_uri())
    dataset = load_dataset(DataSettings(name, str(tmp_path / "new" / "data"), size=8))
    assert dataset.image_shape == (3, 8, 8)
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith(f"downloading {source.filename}: ")


@pytest.mark.usefixtures("no_network")
def test_without_a_network_the_error_is_one_line_with_instructions(name: str, source: type, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_dataset(DataSettings(name, str(tmp_path / "data")))
    message = str(caught.value)
    assert "\n" not in message
    for part in (f"data={name}", "name resolution", source.filename, source.tgz_md5, f"into {tmp_path / 'data'}/"):
        assert part in message
    assert "data=digits or data=folder data.root=PATH" in message


@pytest.mark.usefixtures("no_network", "archive")
def test_a_damaged_archive_is_reported(name: str, source: type, tmp_path: Path) -> None:
    (tmp_path / source.filename).write_bytes(b"half of it")
    with pytest.raises(InputError, match=f"{source.filename} is damaged .* name resolution"):
        load_dataset(DataSettings(name, str(tmp_path)))


@pytest.mark.usefixtures("archive")
def test_a_wrong_download_is_refused(name: str, source: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    page.write_text("Please log in to the hotel's network")
    monkeypatch.setattr(source, "url", page.as_uri())
    with pytest.raises(InputError, match=f"{source.filename}: the download has a wrong md5"):
        load_dataset(DataSettings(name, str(tmp_path / "data")))


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(InputError, match=r"data=cifar10: not available .*(File exists|Not a directory)"):
        load_dataset(DataSettings("cifar10", str(tmp_path / "data")))


def test_an_unwritable_root_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(cifar, "download", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        load_dataset(DataSettings("cifar10", str(tmp_path)))


def test_downloads_have_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = {}

    def refuse(url: str, timeout: float) -> None:
        request.update(url=url, timeout=timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(InputError, match="timed out"):
        load_dataset(DataSettings("cifar10", str(tmp_path)))
    assert request["url"].startswith("https://www.cs.toronto.edu/")
    assert 0 < request["timeout"] <= 30


class Evil:
    def __reduce__(self) -> tuple:
        return os.system, ("touch hacked",)


@pytest.mark.usefixtures("no_network", "archive")
def test_code_in_a_pickle_is_not_executed(
    name: str, source: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with a wrong checksum is not read at all, one with the right checksum is refused."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "made"
    file = root / source.base_folder / source.test_list[0][0]
    file.write_bytes(pickle.dumps({"data": Evil(), "labels": []}))
    (root / source.filename).unlink()
    with pytest.raises(InputError, match="name resolution"):
        load_dataset(DataSettings(name, str(root)))
    monkeypatch.setattr(source, "test_list", [[file.name, md5(file)]])
    with pytest.raises(InputError, match=r"is not plain data \(it names (posix|os)\.system"):
        load_dataset(DataSettings(name, str(root)))
    assert not (tmp_path / "hacked").exists()


@pytest.mark.usefixtures("no_network", "archive")
@pytest.mark.parametrize("kind", ["link", "pipe", "other names"])
def test_only_expected_regular_files_are_extracted(
    name: str, source: type, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only CIFAR's own files are extracted, and only if they are regular files."""
    root = tmp_path / "a" / "root"
    root.mkdir(parents=True)
    with tarfile.open(root / source.filename, "w:gz") as tar:
        for path in ("../../escaped", "/tmp/escaped-cifar", f"{source.base_folder}/../../escaped"):
            member = tarfile.TarInfo(path)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
        if kind != "other names":
            member = tarfile.TarInfo(f"{source.base_folder}/{source.train_list[0][0]}")
            member.type = tarfile.SYMTYPE if kind == "link" else tarfile.FIFOTYPE
            member.linkname = "/etc/passwd"
            tar.addfile(member)
    monkeypatch.setattr(source, "tgz_md5", md5(root / source.filename))
    with pytest.raises(InputError, match="is not a file of at most" if kind != "other names" else "not found"):
        load_dataset(DataSettings(name, str(root)))
    assert [path.name for path in root.iterdir()] == [source.filename]
    assert not list(tmp_path.rglob("escaped"))


def test_an_endless_response_is_cut_off(
    name: str, source: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(io.BytesIO):
        @property
        def headers(self) -> dict:
            return {}

        def read(self, size: int | None = -1) -> bytes:
            return bytes(size or 0)

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Endless())
    monkeypatch.setattr("nas.data.download._MAX_BYTES", 10**6)
    with pytest.raises(InputError, match="more than 1,000,000 bytes"):
        load_dataset(DataSettings(name, str(tmp_path / "data")))
    assert not list((tmp_path / "data").iterdir())
