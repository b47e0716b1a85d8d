"""Pictures and masks: from whatever people have to uint8 RGB, bool arrays and float tensors.

What can be converted without guessing is converted (orientation, colour profile, 16 bit, CMYK,
palettes, transparency); everything else is refused by `InvalidImage` with one sentence. Results are
always new objects without metadata: no input is modified or aliased, no location tag is passed on.
"""

import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageChops, ImageCms

from diffeditor.errors import EmptyMask, InvalidEdit, InvalidImage
from diffeditor.geometry import Size

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[np.uint8]
MaskSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]

MIN_SIDE = 16
"""Pixels; below this the networks see less than two latent cells."""
MAX_PIXELS = 100_000_000
"""Height x width; above this a picture takes gigabytes before anything is edited."""
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
"""Raster formats only: others run interpreters (EPS), or match almost any bytes."""

_ROUNDING = 1e-9
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> the transposition that makes the picture upright."""


def load_image(source: ImageSource, name: str = "image") -> Image.Image:
    """The picture as upright 8-bit sRGB; transparent parts are laid over white.

    source: a path, the bytes of a file, a PIL picture or a uint8 array (H, W), (H, W, 3) RGB or
    (H, W, 4) RGBA.
    name: what error messages call it ("image", "reference").
    Raises InvalidImage.
    """
    if isinstance(source, np.ndarray):
        picture = _from_array(source, name)
    else:
        picture = _decoded(source, name)
    if min(picture.size) < MIN_SIDE:
        raise InvalidImage(
            f"The {name} is {_sides(picture)} pixels; use one of at least {MIN_SIDE} pixels "
            "on each side."
        )
    with _refusing_broken(name):
        return _srgb(picture, name)


def load_mask(
    source: MaskSource, size: Size, name: str = "mask", *, allow_full: bool = False
) -> Mask:
    """The mask as bool (H, W): True inside.

    source: a path, the bytes of a file, a PIL picture or an array (H, W), (H, W, 1), (H, W, 3) or
    (H, W, 4) that holds booleans, 0/1 or 0/255. Inside is the upper half of that range; of several
    channels the brightest counts, as far as the fourth (alpha) shows it.
    size: of the picture that the mask belongs to, upright.
    Raises EmptyMask, InvalidEdit (another size; the whole picture unless `allow_full`) and
    InvalidImage (not a mask at all).
    """
    mask = _mask_values(source, name)
    if mask.shape != (size.height, size.width):
        height, width = mask.shape
        raise InvalidEdit(
            f"The {name} is {width} x {height} pixels but its picture is "
            f"{size.width} x {size.height}; make both the same size."
        )
    if not mask.any():
        raise EmptyMask(f"The {name} is empty; mark what it should select.")
    if mask.all() and not allow_full:
        raise InvalidEdit(f"The {name} covers the whole picture; leave out what must stay.")
    return mask


def to_tensor(image: Image.Image) -> torch.Tensor:
    """RGB picture -> float32 (1, 3, height, width) in [-1, 1]."""
    pixels = torch.from_numpy(np.array(image))
    return pixels.permute(2, 0, 1)[None].to(torch.float32) / 127.5 - 1.0


def to_image(tensor: torch.Tensor) -> Image.Image:
    """(1, 3, height, width) or (3, height, width) in [-1, 1] -> RGB picture; clamps, rounds."""
    channels_first = tensor.detach().reshape(tensor.shape[-3:]).to("cpu", torch.float32)
    levels = ((channels_first + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def resize_image(image: Image.Image, size: Size) -> Image.Image:
    """The picture at `size`: area means for a reduction, Lanczos otherwise; a copy if equal."""
    if image.size == (size.width, size.height):
        return image.copy()
    if size.width <= image.width and size.height <= image.height:
        reduced = cv2.resize(
            np.asarray(image), (size.width, size.height), interpolation=cv2.INTER_AREA
        )
        return Image.fromarray(reduced)
    return image.resize((size.width, size.height), Image.Resampling.LANCZOS)


def resize_mask(mask: Mask, size: Size) -> Mask:
    """The cells of `size` that the mask (H, W) covers by more than half.

    A mask that is not empty stays so: if no cell is covered enough, the cell with most is taken.
    """
    cover = _cell_means(_cell_means(mask, size.height, axis=0), size.width, axis=1)
    resized = cover > 0.5 + _ROUNDING
    if not resized.any() and mask.any():
        resized.flat[cover.argmax()] = True
    return resized


def _from_array(array: npt.NDArray[Any], name: str) -> Image.Image:
    if array.dtype != np.uint8:
        raise InvalidImage(
            f"The {name} is an array of {array.dtype}; pass uint8 values from 0 to 255."
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and array.shape[2:] not in [(3,), (4,)]:
        raise InvalidImage(
            f"The {name} is an array of shape {array.shape}; pass (height, width, 3) RGB."
        )
    _check_pixels((array.shape[1], array.shape[0]), name)
    if array.size == 0:
        raise InvalidImage(f"The {name} has no pixels; pass a picture.")
    return Image.fromarray(array)


def _decoded(source: str | os.PathLike[str] | bytes | Image.Image, name: str) -> Image.Image:
    """The first and only frame, loaded and upright, in its own mode, with `info`; a new object."""
    if isinstance(source, Image.Image):
        with _refusing_broken(name):
            _check_frame(source, name)
            return _upright(source)
    file = BytesIO(source) if isinstance(source, bytes) else _checked_path(source, name)
    with _refusing_broken(name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bombs: MAX_PIXELS is stricter; of odd metadata
        with Image.open(file, formats=FORMATS) as opened:
            _check_frame(opened, name)
            return _upright(opened)


def _checked_path(source: object, name: str) -> Path:
    if not isinstance(source, str | os.PathLike):
        raise InvalidImage(
            f"The {name} is a {type(source).__name__}; pass a path, a PIL picture or a numpy array."
        )
    path = Path(os.fsdecode(source))
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError:
        is_file = is_folder = False
    if is_folder:
        raise InvalidImage(f"The {name} {str(path)!r} is a folder; give the picture in it.")
    if not is_file:
        raise InvalidImage(f"The {name} {str(path)!r} does not exist; check the path.")
    return path


@contextmanager
def _refusing_broken(name: str) -> Generator[None]:
    """Turns whatever a decoder raises on hostile bytes into InvalidImage."""
    try:
        yield
    except InvalidImage:
        raise
    except Image.DecompressionBombError:
        raise InvalidImage(_too_large(name)) from None
    except Image.UnidentifiedImageError:
        raise InvalidImage(
            f"The {name} is not a picture that can be read; save it as PNG or JPEG."
        ) from None
    except Exception as error:  # decoders raise almost any type
        raise InvalidImage(
            f"The {name} is damaged or cut short; save it again as PNG or JPEG."
        ) from error


def _check_frame(picture: Image.Image, name: str) -> None:
    _check_pixels(picture.size, name)
    if getattr(picture, "is_animated", False) and picture.format != "MPO":
        raise InvalidImage(f"The {name} has more than one frame; save one frame as PNG.")


def _check_pixels(sides: tuple[int, int], name: str) -> None:
    if sides[0] * sides[1] > MAX_PIXELS:
        raise InvalidImage(_too_large(name, f"{sides[0]} x {sides[1]} pixels, "))


def _too_large(name: str, sides: str = "") -> str:
    return (
        f"The {name} is too large ({sides}more than {MAX_PIXELS // 1_000_000} megapixels); "
        "reduce it first."
    )


def _sides(picture: Image.Image) -> str:
    return f"{picture.width} x {picture.height}"


def _upright(picture: Image.Image) -> Image.Image:
    """A loaded copy, turned as its EXIF orientation says."""
    upright = picture.copy()
    orientation = _orientation(picture)
    return upright.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else upright


def _orientation(picture: Image.Image) -> int | None:
    try:
        return picture.getexif().get(_ORIENTATION_TAG)
    except Exception:  # a damaged EXIF block says nothing, the pixels are still good
        return None


def _srgb(picture: Image.Image, name: str) -> Image.Image:
    """Any mode -> RGB without metadata: profile applied, transparency over white."""
    colour, alpha = _split_alpha(_eight_bit(picture, name))
    rgb = _profile_applied(colour, picture.info.get("icc_profile"))
    if alpha is not None:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
    return Image.fromarray(np.asarray(rgb))


def _eight_bit(picture: Image.Image, name: str) -> Image.Image:
    """16-bit gray as 8-bit gray; 16-bit colour already arrives as 8 bit per channel."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    levels = np.asarray(picture)
    if picture.mode == "F" or levels.min() < 0 or levels.max() > 65535:
        raise InvalidImage(f"The {name} is made of 32-bit numbers; save it as an 8-bit PNG.")
    return Image.fromarray(((levels.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _split_alpha(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """(colour in the mode its profile speaks of, alpha as L or None)."""
    if picture.has_transparency_data:
        with_alpha = picture.convert("LA" if picture.mode in ("L", "LA") else "RGBA")
        return with_alpha.convert(with_alpha.mode[:-1]), with_alpha.getchannel("A")
    return picture.convert({"1": "L", "P": "RGB"}.get(picture.mode, picture.mode)), None


def _profile_applied(colour: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB; a profile that is unusable or moves nothing by over one level is left out."""
    plain = colour.convert("RGB")
    if not profile:
        return plain
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(colour, source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return plain
    assert converted is not None  # None is returned for inPlace=True only
    moved = np.asarray(ImageChops.difference(plain, converted)).max()
    return plain if moved <= 1 else converted


def _mask_values(source: MaskSource, name: str) -> Mask:
    if not isinstance(source, np.ndarray):
        picture = _decoded(source, name)
        with _refusing_broken(name):
            source = _mask_array(picture, name)
    if source.dtype.kind not in "biuf" or not np.isfinite(source).all():
        raise InvalidImage(f"The {name} holds values that are not numbers; use 0 and 255.")
    if source.ndim == 3 and source.shape[2] in (1, 3, 4):
        brightest = source[:, :, :3].max(axis=2)
        inside = _upper_half(brightest)
        return inside & _upper_half(source[:, :, 3]) if source.shape[2] == 4 else inside
    if source.ndim != 2:
        raise InvalidImage(f"The {name} is an array of shape {source.shape}; pass (height, width).")
    return _upper_half(source)


def _mask_array(picture: Image.Image, name: str) -> npt.NDArray[Any]:
    colour, alpha = _split_alpha(_eight_bit(picture, name))
    if alpha is None:
        return np.asarray(colour.convert("RGB"))
    return np.dstack([np.asarray(colour.convert("RGB")), np.asarray(alpha)])


def _upper_half(values: npt.NDArray[Any]) -> Mask:
    """Above 127 of 255; where nothing exceeds 1 the values count as 0 and 1."""
    threshold = 0.5 if values.size == 0 or values.max() <= 1 else 127
    return values > threshold


def _cell_means(values: npt.NDArray[Any], cells: int, axis: int) -> npt.NDArray[np.float64]:
    """Exact means of the array over `cells` equal cells along one axis, in place of that axis."""
    values = np.moveaxis(values, axis, 0)
    count = len(values)
    total = np.cumsum(values, axis=0, dtype=np.float64)
    edges = np.arange(1, cells + 1) * count / cells
    whole = np.minimum(edges.astype(int), count - 1)
    fraction = (edges - whole).reshape(-1, *[1] * (values.ndim - 1))
    up_to_edge = total[whole] - (1.0 - fraction) * values[whole]
    means = np.diff(up_to_edge, axis=0, prepend=0.0) * (cells / count)
    return np.moveaxis(means, 0, axis)
