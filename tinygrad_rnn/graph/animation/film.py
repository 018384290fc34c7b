"""The backward sweep as an animated GIF, or as a folder of numbered pictures for slides."""

from __future__ import annotations

import importlib
import io
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...engine.files import check_place, write
from ...engine.tensor import Tensor
from ..looks.overlay import BLUE, ORANGE
from ..looks.style import LIGHT_BLUE, LIGHT_ORANGE
from ..pictures.accessible import clean, described_png
from ..pictures.dot import dot_text
from ..pictures.render import render
from ..text.summary import number
from ..views.figure import Figure, ancestors
from .frames import frames, hidden_in, overlays, swept, visible_in

AT_ONCE = 2  # renderers running
EXACT = (ORANGE, BLUE, "#FFFFFF", LIGHT_BLUE, LIGHT_ORANGE)
LAST = 4  # times as long as the others is the last frame shown
TITLE = "The backward sweep"
PILLOW = (
    'a GIF is put together by Pillow, which is not installed: pip install "tinygrad_rnn[plot]"; '
    'or give a folder for numbered pictures, as in tg.animate(loss, "frames")'
)
_NUMBERED = re.compile(r"frame_[0-9]+\.png")


def animated(
    losses: Sequence[Tensor],
    figure: Figure,
    path: str | os.PathLike[str],
    most: int,
    seconds: float,
    width: int,
    timeout: float,
) -> Path:
    """Draw the backward sweep over a figure of these losses; see `tg.animate`."""
    target = Path(path)
    as_gif = target.suffix.lower() == ".gif"
    if target.suffix and not as_gif:
        raise ValueError(
            f"an animation is a .gif, or a folder of pictures, a name without an ending; got {str(path)!r}"
        )
    if isinstance(most, bool) or not isinstance(most, int) or most < 2:
        raise ValueError(f"frames is how many pictures there are at most, 2 or more; got {most!r}")
    if not seconds > 0 or not width > 0:
        raise ValueError(f"seconds and width are more than 0; got {seconds!r} and {width!r}")
    if as_gif:
        check_place(target)
        _pillow("Image")
    elif target.exists() and not target.is_dir():
        raise NotADirectoryError(f"cannot save pictures in {target}: it is a file")
    elif not target.exists() and not target.parent.is_dir():
        raise FileNotFoundError(f"cannot make {target}: there is no folder {target.parent}; make it first")
    texts, words, alt_text = _drawn(losses, figure, most)
    pictures = _rendered(texts, width, timeout)
    if as_gif:
        return write(target, _gif(pictures, seconds, alt_text))
    return _numbered(target, pictures, words)


def _drawn(losses: Sequence[Tensor], figure: Figure, most: int) -> tuple[list[str], list[str], str]:
    """The DOT text of every frame, its words, and those of the whole."""
    found = swept(losses, figure)
    nodes = {t.index: t for t in ancestors(losses)}
    made = visible_in(figure, frames(losses, nodes, found, most, hidden_in(figure)))
    looks = overlays(made, figure, found)
    texts = [dot_text(figure, overlay=look, show=()) for look in looks]
    largest = max(found.norms, key=lambda index: found.norms[index])
    name = nodes[largest].name or (nodes[largest].primitive.name if nodes[largest].primitive else "a leaf")
    alt_text = (
        f"Animation of the backward sweep in {len(made)} pictures: over {len(found.order)} operations, from the loss "
        f"back to {len(found.norms)} gradients, the largest of norm {number(found.norms[largest])}, at {name}."
    )
    return texts, [look.notes[0] for look in looks], alt_text


def _rendered(texts: list[str], width: int, timeout: float) -> list[bytes]:
    """PNGs, about so many pixels wide."""
    coarse = 24.0
    probe = render(texts[0], "png", coarse, timeout)
    dpi = max(10.0, min(200.0, coarse * width / int.from_bytes(probe[16:20], "big")))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = pool.map(lambda text: render(text, "png", dpi, timeout), texts)
        return list(_progress(done, len(texts)))


def _progress(pictures: Iterable[bytes], many: int) -> Iterable[bytes]:
    try:
        tqdm = importlib.import_module("tqdm").tqdm
    except ImportError:
        return pictures
    shown: Iterable[bytes] = tqdm(pictures, "Drawing frames", total=many, unit="frame", disable=None)
    return shown


def _pillow(module: str) -> Any:
    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise ImportError(PILLOW) from error


def _gif(pictures: list[bytes], seconds: float, alt_text: str) -> bytes:
    """One palette for all frames, so that colours do not flicker."""
    image = _pillow("Image")
    opened = [image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    size = max(one.width for one in opened), max(one.height for one in opened)
    same = [_padded(image, one, size) for one in opened]
    palette = _palette(image, same)
    flat = [one.quantize(palette=palette, dither=image.Dither.NONE) for one in same]
    stream = io.BytesIO()
    flat[0].save(
        stream,
        format="GIF",
        save_all=True,
        append_images=flat[1:],
        duration=[round(1000 * seconds)] * (len(flat) - 1) + [round(1000 * seconds * LAST)],
        loop=0,
        comment=clean(alt_text).encode("utf-8"),
    )
    return stream.getvalue()


def _palette(image: Any, pictures: list[Any]) -> Any:
    """Of the first, the middle and the last picture, with a swatch of each colour that is rare but must be exact."""
    wide, high = pictures[0].size
    strip = image.new("RGB", (wide, 3 * high + len(EXACT) * (high // 3)))
    for k, one in enumerate((pictures[0], pictures[len(pictures) // 2], pictures[-1])):
        strip.paste(one, (0, k * high))
    for k, colour in enumerate(EXACT):
        strip.paste(colour, (0, 3 * high + k * (high // 3), wide, 3 * high + (k + 1) * (high // 3)))
    return strip.quantize(200, dither=image.Dither.NONE)


def _padded(image: Any, one: Any, size: tuple[int, int]) -> Any:
    if one.size == size:
        return one
    whole = image.new("RGB", size, "white")
    whole.paste(one, (0, 0))
    return whole


def _numbered(folder: Path, pictures: list[bytes], words: list[str]) -> Path:
    """frame_01.png, frame_02.png, ...; the pictures of an earlier, longer animation there go."""
    folder.mkdir(exist_ok=True)
    digits = max(2, len(str(len(pictures))))
    names = [f"frame_{k:0{digits}}.png" for k in range(1, len(pictures) + 1)]
    for name, picture, said in zip(names, pictures, words, strict=True):
        write(folder / name, described_png(picture, TITLE, said))
    for old in folder.iterdir():
        if _NUMBERED.fullmatch(old.name) and old.name not in names:
            old.unlink()
    return folder
