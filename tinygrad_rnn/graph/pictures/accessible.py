"""Pictures for those who cannot see them: a title and a description inside the PNG or SVG itself."""

from __future__ import annotations

import html
import re
import struct
import zlib

from ..text.labels import visible

_OPENING = re.compile(r"<svg\b[^>]*>")
_TITLE = re.compile(r"<title>[^<]*</title>\s*")
_IHDR_END = 8 + 4 + 4 + 13 + 4  # the signature, then the first chunk


def clean(text: str) -> str:
    """The text with everything that a screen reader or a file format stumbles over made visible; never cut."""
    return "".join(visible(character) for character in text)


def described_png(picture: bytes, title: str, description: str) -> bytes:
    """The PNG with both as text chunks (iTXt, UTF-8), right after its header."""
    chunks = b"".join(_text_chunk(key, clean(text)) for key, text in (("Title", title), ("Description", description)))
    return picture[:_IHDR_END] + chunks + picture[_IHDR_END:]


def _text_chunk(key: str, text: str) -> bytes:
    body = b"iTXt" + key.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8")  # not compressed, no language
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def described_svg(picture: str, title: str, description: str) -> str:
    """The SVG with role="img", and both as <title> and <desc>, its first children.

    Their ids follow from the words, so that two pictures in one page or notebook do not answer for each other.
    """
    opening = _OPENING.search(picture)
    if opening is None:
        raise ValueError("this is not an SVG picture: it has no <svg> element")
    words = html.escape(clean(title)), html.escape(clean(description))
    key = f"{zlib.crc32(' '.join(words).encode()):08x}"
    head = f'{opening[0][:-1]} role="img" aria-labelledby="title-{key} desc-{key}">\n'
    said = f'<title id="title-{key}">{words[0]}</title>\n<desc id="desc-{key}">{words[1]}</desc>\n'
    rest = _TITLE.sub("", picture[opening.end() :].lstrip("\n"), count=1)
    return picture[: opening.start()] + head + said + rest
