"""Several drawings in one figure, below or beside each other and centered."""

import io
import re
from collections.abc import Sequence

from PIL import Image

_SIZE = re.compile(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"')

Box = tuple[float, float]  # width and height, or the left and upper corner


def stack_svgs(images: Sequence[bytes], beside: bool, background: str) -> bytes:
    """Return one SVG file of several written by Graphviz, which give their sizes in points."""
    texts = [re.sub(r' id="[^"]*"', "", image.decode()) for image in images]
    sizes = [(float(match[1]), float(match[2])) for text in texts if (match := _SIZE.search(text))]
    (width, height), corners = _places(sizes, beside)
    head = texts[0][: texts[0].index("<svg")]
    parts = [
        _SIZE.sub(f'<svg x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}"', text[text.index("<svg") :], count=1)
        for text, (x, y), (w, h) in zip(texts, corners, sizes, strict=True)
    ]
    size = f'width="{width:g}pt" height="{height:g}pt" viewBox="0 0 {width:g} {height:g}"'
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    fill = f'<rect width="100%" height="100%" fill="{background}"/>\n'
    return f"{head}<svg {size} {namespaces}>\n{fill}{''.join(parts)}</svg>\n".encode()


def stack_pngs(images: Sequence[bytes], beside: bool, background: str) -> bytes:
    """Return one PNG file of several."""
    opened = [Image.open(io.BytesIO(image)).convert("RGBA") for image in images]
    (width, height), corners = _places([image.size for image in opened], beside)
    color = (255, 255, 255, 0) if background == "transparent" else background
    whole = Image.new("RGBA", (round(width), round(height)), color)
    for image, (x, y) in zip(opened, corners, strict=True):
        whole.paste(image, (round(x), round(y)))
    buffer = io.BytesIO()
    whole.save(buffer, "PNG")
    return buffer.getvalue()


def _places(sizes: Sequence[Box], beside: bool) -> tuple[Box, list[Box]]:
    """Return the size of the figure, and the upper left corner of each part."""
    along, across = (0, 1) if beside else (1, 0)
    widest, position, corners = max(size[across] for size in sizes), 0.0, []
    for size in sizes:
        corner = (position, (widest - size[across]) / 2)
        corners.append(corner if beside else corner[::-1])
        position += size[along]
    return ((position, widest) if beside else (widest, position)), corners
