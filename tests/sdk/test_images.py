"""Images on their way to the API: large ones are shrunk, broken ones refused, and none arrives turned or negative."""

from __future__ import annotations

import base64
import io
import struct
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from rig.cost import cost_s

from claude_magic.errors import AttachmentError
from claude_magic.sdk._images import MAX_EDGE_PIXELS, MAX_IMAGE_BYTES, FittedImage, drawn, fitted
from claude_magic.sdk.content import content_blocks

CAMERA = (4000, 3000)
EXIF_ORIENTATION = 0x0112


def photograph(size: tuple[int, int] = CAMERA, mode: str = "RGB") -> Image.Image:
    """Return an image of as many colours as a camera makes."""
    noise = Image.effect_noise((500, 375), 60).resize(size)
    slope = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (noise, slope, Image.blend(noise, slope, 0.5))).convert(mode)


def drawing(size: tuple[int, int] = CAMERA, mode: str = "RGB") -> Image.Image:
    """Return lines and areas on an even ground."""
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    for number in range(12):
        x = number * size[0] // 12
        pen.line((x, 0, size[0] - x, size[1]), fill=(20 * number, 90, 200), width=9)
    pen.rectangle((0, 0, size[0] // 5, size[1] // 5), fill="red")
    return picture.convert(mode)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def opened(image: FittedImage) -> Image.Image:
    picture = Image.open(io.BytesIO(image.data))
    picture.load()
    assert Image.MIME[str(picture.format)] == image.media_type
    assert len(image.data) <= MAX_IMAGE_BYTES
    assert max(picture.size) <= MAX_EDGE_PIXELS
    return picture


LARGE = {
    "photograph, JPEG": (photograph, "JPEG", {"quality": 97}, "image/jpeg"),
    "photograph, PNG": (photograph, "PNG", {"compress_level": 1}, "image/jpeg"),
    "drawing, PNG": (drawing, "PNG", {}, "image/png"),
}


@pytest.mark.parametrize(("make", "kind", "options", "media_type"), LARGE.values(), ids=LARGE)
def test_twelve_megapixels(make: object, kind: str, options: dict[str, object], media_type: str) -> None:
    """12 megapixels are shrunk to what the API looks at, for a few times what decoding them costs: photographs as JPEG."""
    data = saved(make(), kind, **options)  # type: ignore[operator]
    image = fitted("photo", data)
    assert opened(image).size == (1568, 1176)
    assert image.media_type == media_type
    assert image.change == "was shrunk from 4,000 × 3,000 to 1,568 × 1,176 pixels"
    # The best of three: what else goes on in the machine is not measured.
    assert any(cost_s(lambda: fitted("photo", data)) < 5 * cost_s(Image.open(io.BytesIO(data)).load) for _ in range(3))


def test_what_fits_stays() -> None:
    """An image that fits goes as it is, byte by byte."""
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        data = saved(drawing((300, 200)), kind)
        assert fitted("small", data).data == data
        assert fitted("small", data).change == ""


def test_too_many_bytes() -> None:
    """An image with few pixels and many bytes is encoded anew, and that is said."""
    noise = Image.merge("RGB", [Image.effect_noise((1400, 1400), 100) for _ in range(3)])
    image = fitted("noise", saved(noise, "PNG", compress_level=0))
    assert opened(image).size == (1400, 1400)
    assert image.change.startswith("was shrunk from ")
    assert image.change.endswith(" MB")


@pytest.mark.parametrize("size", [(60, 30), (2000, 1000)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation(kind: str, size: tuple[int, int]) -> None:
    """A picture taken with the camera turned arrives upright."""
    picture = Image.new("RGB", size, "white")
    picture.paste("red", (0, 0, size[0], size[1] // 2))  # the upper half, which belongs to the right
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    turned = opened(fitted("turned", saved(picture, kind, exif=exif))).convert("RGB")
    assert turned.size[1] > turned.size[0]
    left, right = (turned.getpixel((x, turned.size[1] // 2)) for x in (2, turned.size[0] - 3))
    assert min(left) > 200  # type: ignore[type-var,arg-type]
    assert right[1] < 60 < 200 < right[0]  # type: ignore[index,operator]


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16", "F", "CMYK", "HSV", "LAB", "YCbCr"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(40, 30), (2000, 1500)])
def test_modes(mode: str, size: tuple[int, int]) -> None:
    """An image of PIL in any mode is sent, in its own brightness."""
    grey = Image.new("L", size, 90)
    picture = (
        grey.convert("I").convert(mode)
        if mode == "I;16"
        else grey.convert("RGB").convert(mode)
        if mode == "LAB"
        else (grey.convert("RGB").convert(mode) if mode in ("HSV", "CMYK", "YCbCr") else grey.convert(mode))
    )
    seen = opened(drawn(picture)).convert("L")
    if mode != "1":
        assert abs(int(seen.getpixel((5, 5))) - 90) < 12  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["I", "I;16", "F"])
def test_many_levels_of_grey(mode: str) -> None:
    """Grey values of more than 8 bits are spread over 8, in a file too: none is cut off."""
    ramp = Image.linear_gradient("L").resize((2000, 400)).convert("F").point(lambda value: value * 250 + 0)
    picture = ramp.convert("I") if mode != "F" else ramp
    picture = picture.convert("I;16") if mode == "I;16" else picture
    images = [drawn(picture)]
    if mode == "I;16":
        images.append(fitted("16 bits", saved(picture, "PNG")))
    for image in images:
        low, high = opened(image).convert("L").getextrema()
        assert low < 10  # type: ignore[operator]
        assert high > 245  # type: ignore[operator]


def test_cmyk() -> None:
    """A JPEG for print arrives in the colours that it shows."""
    image = opened(fitted("print", saved(Image.new("RGB", (80, 80), (200, 30, 30)).convert("CMYK"), "JPEG")))
    assert image.mode == "RGB"
    red, green, _ = image.getpixel((9, 9))  # type: ignore[misc]
    assert red > 150 > 100 > green


def test_transparency() -> None:
    """Transparency of a palette stays in a drawing; a photograph is put on white."""
    palette = drawing((1600, 600)).quantize(64)
    image = opened(fitted("palette", saved(palette, "PNG", transparency=palette.getpixel((1000, 590)))))
    assert image.mode == "RGBA"
    assert image.getextrema()[3] == (0, 255)  # type: ignore[index]
    plain = Image.new("RGBA", (1600, 400), (0, 0, 0, 0))
    plain.paste(photograph((1000, 400)), (0, 0))
    seen = opened(drawn(plain, is_photograph=True))
    assert min(seen.getpixel((1500, 50))) > 240  # type: ignore[type-var,arg-type]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animated(kind: str) -> None:
    """Of an animated image the first frame is sent, and that is said."""
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    image = fitted("moving", saved(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert image.change == "is animated: only its first frame was sent"
    red, green, _ = opened(image).convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert red > 200 > 60 > green


def test_the_image_itself_stays() -> None:
    """An image of the person's is not changed by being sent."""
    picture = photograph((2000, 1500), "P")
    drawn(picture)
    assert (picture.size, picture.mode) == ((2000, 1500), "P")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims this size."""
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return start + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


BROKEN = {
    "cut": saved(drawing((200, 200)), "PNG")[:300],
    "cut JPEG": saved(photograph((600, 400)), "JPEG")[:5000],
    "cut large JPEG": saved(photograph((2000, 1500)), "JPEG")[:90_000],
    "only its start": b"\x89PNG\r\n\x1a\n",
    "start and noise": b"\xff\xd8\xff" + bytes(range(256)) * 50,
    "empty GIF": b"GIF89a",
    "no WebP": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "wrong sum": saved(drawing((200, 200)), "PNG").replace(b"IDAT", b"IDAX", 1),
    "flat": huge(300, 300),
    "nothing wide": huge(0, 300),
    "bomb": huge(30_000, 30_000),
    "bomb that PIL lets through": huge(13_000, 13_000),
    "long bomb": huge(2**31 - 1, 1),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken(data: bytes) -> None:
    """What is broken, or claims more pixels than there is memory for, is refused at once, by name and with a next step."""
    began = time.thread_time()
    with pytest.raises(AttachmentError, match=r"^photo\.png ") as caught:
        fitted("photo.png", data)
    assert caught.value.next_step
    assert time.thread_time() - began < 1


def test_a_file(tmp_path: Path) -> None:
    """A file that is shrunk is told of; one larger than the limit of a PDF, too."""
    noise = photograph((3200, 3000))
    (tmp_path / "noise.png").write_bytes(saved(noise, "PNG", compress_level=0))
    said: list[str] = []
    (block,) = content_blocks(["noise.png"], str(tmp_path), said.append)
    assert said == ["noise.png was shrunk from 3,200 × 3,000 to 1,568 × 1,470 pixels."]
    assert block["source"]["media_type"] == "image/jpeg"
    assert len(base64.b64decode(block["source"]["data"])) <= MAX_IMAGE_BYTES
