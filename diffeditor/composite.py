"""The edited picture laid into the source at the source's own size, exact outside the edit."""

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from diffeditor.geometry import Box
from diffeditor.images import Mask, resize_image

_HALF_PIXEL = 0.5


def composite(
    source: Image.Image,
    edited: Image.Image,
    region: Mask,
    feather: float,
    box: Box | None = None,
) -> Image.Image:
    """The source with the edit inside `region`; every pixel beyond the feather is the source's own.

    source: RGB. edited: RGB of any size, stretched to `box` of the source (None: all of it), within
    which the feather ends. region: bool (height, width) in source pixels. feather: see `feathered`.
    """
    whole = Box(0, 0, source.width, source.height)
    box = box or whole
    seamless = np.zeros_like(region)
    inner = box.inset(feather, whole.size).slices
    seamless[inner] = region[inner]
    alpha = feathered(seamless[box.slices], feather)
    touched = alpha > 0
    result = np.array(source)
    part = result[box.slices]
    before = part[touched].astype(np.float32)
    after = np.asarray(resize_image(edited, box.size))[touched]
    blend = before + alpha[touched][:, None] * (after - before)
    part[touched] = np.rint(blend).astype(np.uint8)
    return Image.fromarray(result)


def feathered(region: Mask, feather: float) -> npt.NDArray[np.float32]:
    """Opacity of the edit, float32 (height, width): 1 in the region, falling smoothly to 0 outside.

    It reaches 0 at `feather` pixels from the region's border, measured to pixel centres; a feather
    of half a pixel or less is a hard edge.
    """
    if not region.any():
        return np.zeros(region.shape, np.float32)
    from_region = cv2.distanceTransform(
        (~region).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    from_border = np.maximum(from_region - _HALF_PIXEL, 0)
    closeness = np.clip(1 - from_border / max(feather, _HALF_PIXEL), 0, 1)
    return (closeness**2 * (3 - 2 * closeness)).astype(np.float32)
