"""Makes images fit for the API: in a format that it reads, upright, still, and no larger than it uses.

A photograph becomes JPEG, a drawing PNG. An image that fits already is only checked to be whole. The caller reports what was
changed.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from claude_magic.errors import AttachmentError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_EDGE_PIXELS: Final = 1568
"""The limit of the longer edge. The API shrinks larger images: https://docs.claude.com/en/docs/build-with-claude/vision."""

MAX_IMAGE_BYTES: Final = 5 * 1024 * 1024 * 3 // 4
"""The limit of an image. The API counts its base64, which may have 5 MB."""

MAX_PIXELS: Final = 120_000_000
"""The limit of an image before it is shrunk. A small file can claim more pixels than there is memory for."""

_ORIENTATION: Final = 0x0112
_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP")
_AS_THEY_ARE: Final = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Modes that every image reader knows."""

_SAMPLE: Final = 128
_FLAT_COLOURS: Final = 16
"""If so few colours fill most of an image, it is a drawing."""


@dataclass(frozen=True, slots=True)
class FittedImage:
    """An image that can be sent. `change` says in a few words what was changed, such as `was shrunk from ... to ...`."""

    media_type: str
    data: bytes
    change: str = ""


def fitted(name: str, data: bytes) -> FittedImage:
    """Return the image in a form that can be sent.

    :param name: what it is called in an error.
    :raises AttachmentError: if it is broken, or has too many pixels for the memory.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                size, is_still = picture.size, not getattr(picture, "is_animated", False)
                check_pixels(name, size)
                fits = max(size) <= MAX_EDGE_PIXELS and len(data) <= MAX_IMAGE_BYTES
                if fits and is_still and picture.mode in _AS_THEY_ARE and _orientation(picture) in (None, 1):
                    picture.load()  # the API would refuse the whole conversation for a broken one
                    return FittedImage(str(Image.MIME[picture.format or "PNG"]), data)
                picture.draft(None, (MAX_EDGE_PIXELS, MAX_EDGE_PIXELS))  # a JPEG is decoded at a smaller size
                found = drawn(picture, is_photograph=picture.format == "JPEG" or None)
    except AttachmentError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(name, "too many") from error
    except Exception as error:  # decoders' errors for broken images have no common class
        reason = "" if isinstance(error, UnidentifiedImageError) else str(error).rstrip(".")
        raise AttachmentError(
            f"{name} cannot be decoded{f': {reason}' if reason else ''}.",
            next_step="Save it anew, or leave it out; nothing was sent.",
        ) from error
    changes = [] if is_still else ["is animated: only its first frame was sent"]
    if shrunk := shrunk_words(size):
        changes.append(shrunk)
    elif not fits:
        changes.append(f"was shrunk from {len(data) / 1e6:.1f} to {len(found.data) / 1e6:.1f} MB")
    return FittedImage(found.media_type, found.data, " and ".join(changes))


def drawn(picture: Image, *, is_photograph: bool | None = None) -> FittedImage:
    """Return a PIL image, which is not changed, in a form that can be sent. If `is_photograph` is `None`, colours decide."""
    from PIL import Image, ImageOps

    plain = _plain(picture)
    if max(plain.size) > MAX_EDGE_PIXELS:
        plain = plain.resize(_shrunk_size(plain.size), Image.Resampling.BICUBIC, reducing_gap=1.0)
    if _orientation(picture) not in (None, 1):
        plain = ImageOps.exif_transpose(plain)
    if is_photograph is None:
        is_photograph = _is_photograph(plain)
    file = io.BytesIO()
    if not is_photograph:
        plain.save(file, "PNG")
        if file.tell() <= MAX_IMAGE_BYTES:
            return FittedImage("image/png", file.getvalue())
        file = io.BytesIO()
    if plain.mode == "RGBA":
        plain = Image.alpha_composite(Image.new("RGBA", plain.size, "white"), plain).convert("RGB")
    plain.save(file, "JPEG", quality=85)
    return FittedImage("image/jpeg", file.getvalue())


def check_pixels(name: str, size: tuple[int, int]) -> None:
    """Raise `AttachmentError` if an image of this size has too many pixels for the memory."""
    if size[0] * size[1] > MAX_PIXELS:
        raise _too_many_pixels(name, f"{size[0]:,} × {size[1]:,}")


def shrunk_words(size: tuple[int, int]) -> str:
    """Say how an image of this size is shrunk; empty if it is not."""
    if max(size) <= MAX_EDGE_PIXELS:
        return ""
    width, height = _shrunk_size(size)
    return f"was shrunk from {size[0]:,} × {size[1]:,} to {width:,} × {height:,} pixels"


def _too_many_pixels(name: str, count: str) -> AttachmentError:
    return AttachmentError(
        f"{name} has {count} pixels; {MAX_PIXELS / 1e6:,.0f} million are the limit.",
        next_step="Shrink it, or cut out the part that matters; nothing was sent.",
    )


def _shrunk_size(size: tuple[int, int]) -> tuple[int, int]:
    scale = MAX_EDGE_PIXELS / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _orientation(picture: Image) -> int | None:
    try:
        found = picture.getexif().get(_ORIENTATION)
    except (SyntaxError, ValueError, KeyError, EOFError, OSError):  # it cannot be read
        return None
    return found if isinstance(found, int) else None


def _plain(picture: Image) -> Image:
    """Return the image in grey, RGB or RGBA, with 8 bits."""
    match picture.mode:
        case "L" | "RGB" if "transparency" not in picture.info:
            return picture
        case "I" | "F" | "I;16" | "I;16B" | "I;16L":
            return _with_8_bits(picture)
        case "1":
            return picture.convert("L")
        case "CMYK" | "YCbCr" | "LAB" | "HSV":
            return picture.convert("RGB")
        case "P" if "transparency" not in picture.info:
            return picture.convert("RGB")
    return picture.convert("RGBA")


def _with_8_bits(picture: Image) -> Image:
    """Spread the grey values over 8 bits, unless they fit; `convert` would cut off values above 255."""
    floats = picture.convert("F")
    found = floats.getextrema()
    low, high = (float(value) for value in found if not isinstance(value, tuple))
    if low < 0 or high > 255 or high <= 1:
        scale = 255 / (high - low) if high > low else 1.0
        floats = floats.point(lambda value: value * scale - low * scale)
    return floats.convert("L")


def _is_photograph(picture: Image) -> bool:
    """Recognize a photograph by its colours. In a drawing, a few colours fill most of the area."""
    from PIL import Image

    sample = picture.resize((_SAMPLE, _SAMPLE), Image.Resampling.NEAREST)
    counts = sorted((count for count, _ in sample.getcolors(_SAMPLE**2) or ()), reverse=True)
    return sum(counts[:_FLAT_COLOURS]) < _SAMPLE**2 / 2
