import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.core.errors import InputError
from nas.data.decode import MAX_IMAGE_BYTES, bounded_decoding, decode_rgb, image_formats

RED, GRAY = (255, 0, 0), (80, 80, 80)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "ppm", "tif", "webp", "tga"])
def test_common_formats(tmp_path: Path, suffix: str) -> None:
    path = saved(
        Image.new("RGB", (3, 2), RED), tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {})
    )
    pixels = decode_rgb(path)
    assert pixels.shape == (2, 3, 3)
    assert (pixels == RED).all()


def test_the_content_decides_the_format(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (3, 2), RED), tmp_path / "a.png")
    assert (decode_rgb(path.rename(tmp_path / "a.jpg")) == RED).all()


def test_postscript_is_not_executed(tmp_path: Path) -> None:
    assert not {".eps", ".ps", ".pdf", ".h5", ".mpg"} & set(image_formats())
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n")
    with pytest.raises(InputError, match="unknown image format"):
        decode_rgb(path)


def test_grayscale(tmp_path: Path) -> None:
    assert (decode_rgb(saved(Image.new("L", (2, 2), 80), tmp_path / "a.png")) == GRAY).all()
    assert (decode_rgb(saved(Image.new("1", (2, 2), 1), tmp_path / "b.png")) == 255).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_reduced_to_eight(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 257, 65535, 128 * 257]], np.uint16)
    path = saved(Image.fromarray(values), tmp_path / f"a.{suffix}")
    assert decode_rgb(path)[0].tolist() == [[0] * 3, [1] * 3, [255] * 3, [128] * 3]


def test_sixteen_bits_of_a_pgm(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 2 1 65535\n" + np.array([0, 65535], ">u2").tobytes())
    assert decode_rgb(path)[0].tolist() == [[0] * 3, [255] * 3]


def test_palette(tmp_path: Path) -> None:
    image = Image.new("P", (2, 2))
    image.putpalette([*RED, *GRAY])
    image.putpixel((1, 0), 1)
    assert decode_rgb(saved(image, tmp_path / "a.png"))[0].tolist() == [list(RED), list(GRAY)]


def test_transparency_is_blended_with_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (2, 1), (*RED, 0))
    image.putpixel((1, 0), (*RED, 255))
    assert decode_rgb(saved(image, tmp_path / "a.png"))[0].tolist() == [[255] * 3, list(RED)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*RED])
    assert (decode_rgb(saved(palette, tmp_path / "b.png", transparency=0)) == 255).all()
    assert (decode_rgb(saved(Image.new("LA", (1, 1), (80, 255)), tmp_path / "c.png")) == GRAY).all()


def test_cmyk(tmp_path: Path) -> None:
    assert (decode_rgb(saved(Image.new("CMYK", (1, 1)), tmp_path / "a.tif")) == 255).all()


def test_floating_point_is_refused(tmp_path: Path) -> None:
    path = saved(Image.new("F", (1, 1)), tmp_path / "a.tif")
    with pytest.raises(InputError, match=f"{path}: .*floating-point"):
        decode_rgb(path)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    image = Image.new("RGB", (2, 1), RED)
    image.putpixel((1, 0), GRAY)
    pixels = decode_rgb(saved(image, tmp_path / "a.png", exif=exif))
    assert pixels.tolist() == [[list(RED)], [list(GRAY)]]


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 2), color) for color in (RED, GRAY)]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (decode_rgb(path) == RED).all()


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        decode_rgb(tmp_path / "a.png")


def png_of_size(width: int, height: int) -> bytes:
    """Return a PNG whose header declares that size, without pixel data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 14_000, 2**31 - 1])  # above Pillow's limit, and above twice the limit
def test_an_image_of_a_huge_declared_size_is_refused(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(png_of_size(side, side))
    with bounded_decoding(), pytest.raises(InputError, match=r"a\.png: (too many pixels|cannot be read)"):
        decode_rgb(tmp_path / "a.png")


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    """Pillow reads WebP files whole; this one is a sparse file of 100 GB."""
    with (tmp_path / "a.webp").open("wb") as file:
        file.write(b"RIFF\xff\xff\xff\x7fWEBPVP8X")
        file.truncate(100 * 10**9)
    with pytest.raises(InputError, match=rf"a\.webp: .*more than {MAX_IMAGE_BYTES:,} bytes"):
        decode_rgb(tmp_path / "a.webp")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="not a regular file"):
        decode_rgb(tmp_path / "a.png")
