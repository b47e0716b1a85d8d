import io
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageCms

from diffeditor.errors import DiffEditorError, EmptyMask, InvalidEdit, InvalidImage
from diffeditor.geometry import Size
from diffeditor.images import (
    MAX_PIXELS,
    MIN_SIDE,
    load_image,
    load_mask,
    resize_image,
    resize_mask,
    to_image,
    to_tensor,
)

HEIGHT, WIDTH = 20, 28


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def difference(image: Image.Image, expected: np.ndarray) -> int:
    """The largest difference of levels; the shapes must be equal."""
    actual = np.asarray(image)
    assert actual.shape == expected.shape
    return int(np.abs(actual.astype(int) - expected).max())


def save(tmp_path: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = tmp_path / name
    image.save(path, **options)
    return path


# What is read as it is


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a.tif", "a.ppm", "a.gif", "a.jp2"])
def test_files_give_the_pixels_they_store(tmp_path, pixels, name):
    options = {"lossless": True} if name == "a.webp" else {}
    path = save(tmp_path, Image.fromarray(pixels // 128 * 255), name, **options)
    assert difference(load_image(path), pixels // 128 * 255) == 0
    assert difference(load_image(str(path)), pixels // 128 * 255) == 0


def test_the_bytes_of_a_file_will_do(tmp_path, pixels):
    path = save(tmp_path, Image.fromarray(pixels), "a.png")
    assert difference(load_image(path.read_bytes()), pixels) == 0


def test_arrays_and_pictures_give_new_objects_and_stay_as_they_were(pixels):
    before = pixels.copy()
    picture = Image.fromarray(pixels)
    for source in (pixels, picture, pixels[:, :, 0], np.dstack([pixels, pixels[:, :, 0]])):
        loaded = load_image(source)
        assert loaded is not source
        assert loaded.mode == "RGB"
        loaded.putpixel((0, 0), (1, 2, 3))
    assert np.array_equal(pixels, before)
    assert difference(picture, before) == 0


def test_arrays_may_be_views_in_any_order(pixels):
    assert difference(load_image(pixels[::-1, :, ::-1]), pixels[::-1, :, ::-1]) == 0


def test_metadata_does_not_travel(tmp_path, pixels):
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    path = save(tmp_path, Image.fromarray(pixels), "a.png", exif=exif)
    loaded = load_image(path)
    assert not loaded.info
    assert not loaded.getexif()


# What is converted


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("opened", [False, True])
def test_exif_orientation_is_applied(tmp_path, orientation, opened):
    stored = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stored[:10, :14] = (255, 0, 0)
    stored[:10, 14:] = (0, 255, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, Image.fromarray(stored), "a.png", exif=exif)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: np.rot90(stored.transpose(1, 0, 2), 2),
        8: np.rot90(stored),
    }[orientation]
    with Image.open(path) as picture:
        assert difference(load_image(picture if opened else path), upright) == 0


def test_a_damaged_exif_block_does_not_matter(tmp_path, pixels):
    path = save(tmp_path, Image.fromarray(pixels), "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert difference(load_image(path), pixels) == 0


def swapping_profile() -> bytes:
    """An sRGB profile whose red and green primaries are exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = struct.unpack(">I", data[128:132])[0]
    entries = {bytes(data[132 + 12 * i : 136 + 12 * i]): 136 + 12 * i for i in range(tags)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    data[red : red + 8], data[green : green + 8] = data[green : green + 8], data[red : red + 8]
    return bytes(data)


def test_embedded_profiles_become_srgb(tmp_path, pixels):
    path = save(tmp_path, Image.fromarray(pixels), "a.png", icc_profile=swapping_profile())
    assert difference(load_image(path), pixels[:, :, [1, 0, 2]]) <= 1


def test_an_srgb_profile_changes_nothing(tmp_path, pixels):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(tmp_path, Image.fromarray(pixels), "a.png", icc_profile=profile)
    assert difference(load_image(path), pixels) == 0


@pytest.mark.parametrize("mode", ["L", "LA", "CMYK"])
def test_unusable_profiles_are_left_out(tmp_path, pixels, mode):
    picture = Image.fromarray(pixels).convert(mode)
    path = save(tmp_path, picture, "a.tif", icc_profile=swapping_profile())
    assert difference(load_image(path), np.asarray(picture.convert("RGB"))) == 0


def test_broken_profiles_are_left_out(tmp_path, pixels):
    path = save(tmp_path, Image.fromarray(pixels), "a.png", icc_profile=b"not a profile")
    assert difference(load_image(path), pixels) == 0


@pytest.mark.parametrize("extension", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_files_are_scaled(tmp_path, extension, channels):
    values = np.linspace(0, 65535, HEIGHT * WIDTH * 3).round().astype(np.uint16)
    values = values.reshape(HEIGHT, WIDTH, 3)
    stored = values[:, :, 0] if channels == 1 else values[:, :, ::-1]
    if channels == 4:
        stored = np.dstack([stored, np.full((HEIGHT, WIDTH), 65535, np.uint16)])
    path = tmp_path / f"a.{extension}"
    cv2.imwrite(str(path), stored)
    expected = np.repeat(values[:, :, :1], 3, axis=2) if channels == 1 else values
    assert difference(load_image(path), (expected / 257).round()) <= (0 if channels == 1 else 1)


def test_32_bit_numbers_within_16_bit_are_scaled():
    values = np.linspace(0, 65535, HEIGHT * WIDTH).round().astype(np.int32)
    values = values.reshape(HEIGHT, WIDTH)
    expected = np.repeat((values / 257).round()[:, :, None], 3, axis=2)
    assert difference(load_image(Image.fromarray(values)), expected) == 0


def test_cmyk_jpeg_is_not_inverted(tmp_path):
    picture = Image.new("RGB", (WIDTH, HEIGHT), (200, 40, 90)).convert("CMYK")
    path = save(tmp_path, picture, "a.jpg", quality=100)
    assert difference(load_image(path), np.full((HEIGHT, WIDTH, 3), (200, 40, 90))) <= 2


def half_transparent() -> np.ndarray:
    rgba = np.full((HEIGHT, WIDTH, 4), (200, 0, 0, 255), np.uint8)
    rgba[:, :10, 3] = 0
    rgba[:, 10:20, 3] = 51
    return rgba


def over_white() -> np.ndarray:
    expected = np.full((HEIGHT, WIDTH, 3), (200, 0, 0), np.uint8)
    expected[:, :10] = 255
    expected[:, 10:20] = (244, 204, 204)
    return expected


def test_transparency_is_laid_over_white(tmp_path):
    rgba = half_transparent()
    assert difference(load_image(rgba), over_white()) <= 1
    assert difference(load_image(Image.fromarray(rgba)), over_white()) <= 1
    assert difference(load_image(save(tmp_path, Image.fromarray(rgba), "a.png")), over_white()) <= 1


def test_gray_with_alpha_is_laid_over_white():
    gray = Image.fromarray(half_transparent()).convert("LA")
    loaded = np.asarray(load_image(gray))
    assert (loaded[:, :10] == 255).all()
    assert (loaded[:, 20:] == 60).all()


def test_palettes_are_resolved_with_their_transparency(tmp_path):
    indices = np.repeat(np.arange(WIDTH, dtype=np.uint8)[None] // 14, HEIGHT, axis=0)
    picture = Image.fromarray(indices)
    picture.putpalette([10, 20, 30, 40, 50, 60])
    expected = np.array([[10, 20, 30], [40, 50, 60]])[indices]
    assert difference(load_image(save(tmp_path, picture, "a.png")), expected) == 0
    expected[:, 14:] = 255
    path = save(tmp_path, picture, "b.png", transparency=1)
    assert difference(load_image(path), expected) == 0


def test_one_bit_pictures_are_black_and_white(pixels):
    bits = pixels[:, :, 0] > 127
    expected = np.repeat(bits[:, :, None], 3, axis=2) * 255
    assert difference(load_image(Image.fromarray(bits)), expected) == 0


def test_the_first_frame_of_a_stereo_photo_is_taken(tmp_path):
    frames = [Image.new("RGB", (WIDTH, HEIGHT), c) for c in ("red", "blue")]
    path = save(tmp_path, frames[0], "a.mpo", save_all=True, append_images=frames[1:])
    with Image.open(path) as opened:
        assert opened.n_frames == 2
    assert np.asarray(load_image(path))[0, 0].argmax() == 0


# What is refused


def bad_bytes(kind: str, pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(np.tile(pixels, (8, 8, 1)))
    if kind == "text":
        return b"not a picture"
    if kind == "empty":
        return b""
    if kind == "script":
        return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\nshowpage\n"
    if kind in ("png", "jpeg", "webp", "tiff"):
        picture.save(buffer, kind.upper())
        return buffer.getvalue()[: len(buffer.getvalue()) // 2]
    frames = [Image.new("RGB", (WIDTH, HEIGHT), c) for c in ("red", "blue")]
    frames[0].save(buffer, kind[9:].upper(), save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "cannot|not a picture"),
        ("empty", "not a picture"),
        ("script", "not a picture"),
        ("png", "cut short"),
        ("jpeg", "cut short"),
        ("webp", "cut short|not a picture"),
        ("tiff", "cut short|not a picture"),
        ("animated-gif", "more than one frame"),
        ("animated-png", "more than one frame"),
        ("animated-webp", "more than one frame"),
        ("animated-tiff", "more than one frame"),
    ],
)
def test_unusable_files_are_refused(tmp_path, pixels, kind, message):
    path = tmp_path / "a.png"
    path.write_bytes(bad_bytes(kind, pixels))
    with pytest.raises(InvalidImage, match=f"^The portrait .*({message}).*\\.$"):
        load_image(path, "portrait")
    with pytest.raises(InvalidImage, match=message):
        load_mask(path, Size(HEIGHT, WIDTH))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and stores next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("sides", [(20_000, 20_000), (10_001, 10_000), (2_000_000, 100)])
def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path, sides):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(*sides))
    with pytest.raises(InvalidImage, match="more than 100 megapixels.*reduce it first"):
        load_image(path)


def test_between_pillows_limit_and_ours_no_warning_escapes(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(10_000, 9_500))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(InvalidImage, match="cut short"):
            load_image(path)
    assert not caught


def test_huge_arrays_and_pictures_are_refused():
    pixel = np.zeros((1, 1, 3), np.uint8)
    with pytest.raises(InvalidImage, match="20000 x 20000 pixels, more than 100"):
        load_image(np.broadcast_to(pixel, (20_000, 20_000, 3)))
    with pytest.raises(InvalidImage, match="more than 100"):
        load_image(Image.new("1", (MAX_PIXELS // 1000 + 1, 1000)))


@pytest.mark.parametrize("sides", [(1, 1), (MIN_SIDE - 1, 100), (100, MIN_SIDE - 1)])
def test_tiny_pictures_are_refused(sides):
    with pytest.raises(InvalidImage, match=f"{sides[0]} x {sides[1]} pixels; use one of at least"):
        load_image(Image.new("RGB", sides))


def test_the_smallest_picture_is_accepted():
    assert load_image(Image.new("RGB", (MIN_SIDE, MIN_SIDE))).size == (MIN_SIDE, MIN_SIDE)


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((32, 32, 3), np.float32),
        np.full((32, 32, 3), np.nan),
        np.zeros((32, 32, 3), np.uint16),
        np.zeros((32, 32), bool),
        np.zeros((32,), np.uint8),
        np.zeros((32, 32, 2), np.uint8),
        np.zeros((3, 32, 32), np.uint8),
        np.zeros((1, 32, 32, 3), np.uint8),
        np.zeros((0, 32, 3), np.uint8),
        Image.fromarray(np.zeros((32, 32), np.float32)),
        Image.fromarray(np.full((32, 32), 65536, np.int32)),
        torch.zeros(3, 32, 32),
        b"bytes",
        None,
        12,
    ],
    ids=repr,
)
def test_other_types_are_refused(source):
    with pytest.raises(InvalidImage, match=r"^The portrait .*\.$"):
        load_image(source, "portrait")


@pytest.mark.parametrize("path", ["missing.png", "", "nul\0byte", "x" * 5000, "~nobody/a.png"])
def test_missing_paths_are_refused(path):
    with pytest.raises(InvalidImage, match="does not exist|is a folder"):
        load_image(path)


def test_folders_are_refused(tmp_path):
    with pytest.raises(InvalidImage, match="is a folder"):
        load_image(tmp_path)


def test_closed_pictures_are_refused(tmp_path, pixels):
    with Image.open(save(tmp_path, Image.fromarray(pixels), "a.png")) as picture:
        pass
    with pytest.raises(InvalidImage):
        load_image(picture)


@given(data=st.binary(max_size=200), start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"]))
def test_any_bytes_give_our_own_error(tmp_path_factory, data, start):
    path = tmp_path_factory.mktemp("bytes") / "a"
    path.write_bytes(start + data)
    with pytest.raises(DiffEditorError):
        load_image(path)


# Masks


@pytest.fixture
def inside() -> np.ndarray:
    return np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.3


SIZE = Size(HEIGHT, WIDTH)


@pytest.mark.parametrize(
    "form",
    [
        lambda m: m,
        lambda m: m.astype(np.uint8),
        lambda m: m.astype(int),
        lambda m: m.astype(np.float32),
        lambda m: m * np.uint8(255),
        lambda m: m * 255.0,
        lambda m: m[:, :, None],
        lambda m: np.repeat(m[:, :, None], 3, axis=2) * np.uint8(255),
        lambda m: m[:, :, None] * np.array([255, 0, 0], np.uint8),
        lambda m: m[:, :, None] * np.array([255, 255, 255, 255], np.uint8),
        lambda m: np.dstack([np.full((*m.shape, 3), 255), m * 255]).astype(np.uint8),
        lambda m: Image.fromarray(m),
        lambda m: Image.fromarray(m * np.uint8(255)),
        lambda m: Image.fromarray(m * np.uint8(255)).convert("RGB"),
        lambda m: Image.fromarray(m * np.uint8(255)).convert("RGBA"),
        lambda m: Image.fromarray(m * np.uint8(255)).convert("P"),
        lambda m: Image.fromarray(m * np.uint16(65535)),
    ],
)
def test_every_usual_form_of_a_mask_is_understood(inside, form):
    mask = load_mask(form(inside), SIZE)
    assert mask.dtype == np.bool_
    assert np.array_equal(mask, inside)


def test_a_mask_is_a_new_array(inside):
    load_mask(inside, SIZE)[:] = True
    assert not inside.all()


def test_gray_levels_split_above_127():
    levels = np.full((HEIGHT, WIDTH), 127, np.uint8)
    levels[0, 0] = 128
    assert load_mask(levels, SIZE).sum() == 1


def test_mask_files_follow_their_orientation(tmp_path, inside):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path, Image.fromarray(inside * np.uint8(255)), "a.png", exif=exif)
    assert np.array_equal(load_mask(path, Size(WIDTH, HEIGHT)), np.rot90(inside, -1))


def test_empty_masks_are_refused():
    with pytest.raises(EmptyMask, match="fill mask is empty"):
        load_mask(np.zeros((HEIGHT, WIDTH), bool), SIZE, "fill mask")


def test_full_masks_are_refused_unless_allowed():
    full = np.ones((HEIGHT, WIDTH), bool)
    with pytest.raises(InvalidEdit, match="covers the whole picture"):
        load_mask(full, SIZE)
    assert load_mask(full, SIZE, allow_full=True).all()


@pytest.mark.parametrize("shape", [(WIDTH, HEIGHT), (1, 1), (0, 0), (HEIGHT, WIDTH + 1)])
def test_masks_of_another_size_are_refused_with_both_sizes(shape):
    match = f"{shape[1]} x {shape[0]} pixels.*{WIDTH} x {HEIGHT}"
    with pytest.raises(InvalidEdit, match=match):
        load_mask(np.ones(shape, bool), SIZE)


@pytest.mark.parametrize(
    "source",
    [
        np.full((HEIGHT, WIDTH), np.nan),
        np.full((HEIGHT, WIDTH), np.inf),
        np.full((HEIGHT, WIDTH), "x"),
        np.full((HEIGHT, WIDTH), None),
        np.ones((HEIGHT, WIDTH), complex),
        np.ones((HEIGHT, WIDTH, 2)),
        np.ones(HEIGHT),
        np.array(1),
        None,
        3,
    ],
    ids=repr,
)
def test_other_masks_are_refused(source):
    with pytest.raises(InvalidImage, match=r"^The mask .*\.$"):
        load_mask(source, SIZE)


# Tensors and sizes


@given(arrays(np.uint8, (17, 19, 3)))
def test_tensors_hold_every_level(levels):
    tensor = to_tensor(Image.fromarray(levels))
    assert tensor.shape == (1, 3, 17, 19)
    assert tensor.dtype == torch.float32
    assert -1.0 <= tensor.min() and tensor.max() <= 1.0
    assert difference(to_image(tensor), levels) == 0
    assert difference(to_image(tensor[0]), levels) == 0


def test_tensors_span_minus_one_to_one_and_are_clamped():
    image = Image.fromarray(np.array([[[0, 128, 255]]], np.uint8))
    assert to_tensor(image).flatten().tolist() == pytest.approx([-1.0, 0.0, 1.0], abs=0.005)
    assert to_image(torch.tensor([-3.0, 0.0, 3.0]).reshape(3, 1, 1)).getpixel((0, 0)) == (
        0,
        128,
        255,
    )


def test_resizing_to_the_same_size_is_a_copy(pixels):
    image = Image.fromarray(pixels)
    same = resize_image(image, SIZE)
    assert same is not image
    assert difference(same, pixels) == 0


@pytest.mark.parametrize("size", [Size(8, 9), Size(64, 40), Size(10, 90), Size(20, 14)])
def test_resizing_keeps_flat_pictures_flat(size):
    flat = Image.new("RGB", (WIDTH, HEIGHT), (10, 120, 250))
    resized = resize_image(flat, size)
    assert difference(resized, np.full((size.height, size.width, 3), (10, 120, 250))) == 0


def test_a_reduction_averages_over_the_area(pixels):
    means = pixels.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
    assert difference(resize_image(Image.fromarray(pixels), Size(10, 14)), means) <= 0.5 + 1e-6


def test_an_enlargement_is_smooth_and_stays_in_place():
    ramp = np.repeat(np.linspace(40, 200, WIDTH).round().astype(np.uint8)[None], HEIGHT, axis=0)
    picture = Image.fromarray(np.repeat(ramp[:, :, None], 3, axis=2))
    large = np.asarray(resize_image(picture, Size(HEIGHT * 4, WIDTH * 4))).astype(float)
    places = (np.arange(WIDTH * 4) + 0.5) / 4 - 0.5
    expected = np.interp(places, np.arange(WIDTH), ramp[0])
    assert np.abs(large[40, 16:-16, 0] - expected[16:-16]).max() < 1.5


masks = arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))
sides = st.integers(1, 30)


def covers(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cell by cell: the share of each cell that the mask covers."""
    fine = np.kron(mask, np.ones((height, width)))
    return fine.reshape(height, mask.shape[0], width, mask.shape[1]).mean(axis=(1, 3))


@given(masks, sides, sides)
def test_a_resized_mask_takes_the_cells_covered_by_more_than_half(mask, height, width):
    resized = resize_mask(mask, Size(height, width))
    cover = covers(mask, height, width)
    assert resized.any() == mask.any()
    if (cover > 0.5 + 1e-6).any():
        assert np.array_equal(resized, cover > 0.5 + 1e-6)
    elif mask.any():
        assert resized.sum() == 1
        assert cover[resized].item() == pytest.approx(cover.max())


@given(masks)
def test_a_mask_at_its_own_size_is_itself(mask):
    assert np.array_equal(resize_mask(mask, Size(*mask.shape)), mask)


@given(masks, st.integers(1, 4))
def test_an_enlarged_mask_repeats_its_pixels(mask, factor):
    size = Size(mask.shape[0] * factor, mask.shape[1] * factor)
    assert np.array_equal(resize_mask(mask, size), np.kron(mask, np.ones((factor, factor))) > 0)
