"""What is measured of one picture, as pure functions; docs/worldbench.md says what each is for.

Pictures are uint8 (H, W, 3), masks bool (H, W) and points float (n, 2), (x, y), throughout.
"""

import cv2
import numpy as np

MOST_PSNR = 60.0
"""dB; equal pictures, whose ratio has no bound, count as this."""

_SSIM_WINDOW, _SSIM_SIGMA = (11, 11), 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio, dB, of `mask`'s pixels (None: all of them), at most MOST_PSNR."""
    error = np.square(picture.astype(np.float64) - truth)
    mse = error.mean() if mask is None else error[mask].mean() if mask.any() else 0.0
    return min(MOST_PSNR, 10 * float(np.log10(255**2 / max(mse, 1e-12))))


def ssim(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Structural similarity in [-1, 1]: Gaussian windows, mean of channels and of `mask`'s pixels.

    [Wang et al. 2004: K1 = 0.01, K2 = 0.03, sigma = 1.5]
    """
    a, b = picture.astype(np.float64), truth.astype(np.float64)
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    similar = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    similar /= (mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)
    return float(similar.mean() if mask is None else similar[mask].mean())


def _blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, _SSIM_WINDOW, _SSIM_SIGMA)


def changed_share(picture: np.ndarray, source: np.ndarray, outside: np.ndarray) -> float:
    """Percent of the pixels of `outside` that are not bit-identical to the source's; 0 of none."""
    if not outside.any():
        return 0.0
    return 100 * float((picture != source).any(-1)[outside].mean())


def colour_error(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Distance of the mean CIELAB colours of `mask`'s pixels (CIE76 Delta E; 1 is just visible)."""
    return float(np.linalg.norm(_lab(picture)[mask].mean(0) - _lab(truth)[mask].mean(0)))


def pattern_error(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Wasserstein distance of how strongly lightness changes per pixel inside `mask`.

    The distributions of the length of the gradient of L* are compared, so a pattern may lie
    elsewhere on the object, but must have as many edges, as strong.
    """
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    inside = core if core.any() else mask
    return _wasserstein(_gradients(picture)[inside], _gradients(truth)[inside])


def _lab(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _gradients(picture: np.ndarray) -> np.ndarray:
    lightness = _lab(picture)[..., 0]
    across = cv2.Sobel(lightness, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(lightness, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.hypot(across, down)


def _wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """W1 of two samples of the same size."""
    return float(np.abs(np.sort(a) - np.sort(b)).mean())


def mean_distance(points: np.ndarray, targets: np.ndarray) -> float:
    """Mean Euclidean distance of points to their targets."""
    return float(np.linalg.norm(points - targets, axis=-1).mean())


def mean_square_distance(points: np.ndarray, targets: np.ndarray) -> float:
    """Mean squared Euclidean distance of points to their targets: the MSE of the paper."""
    return float(np.square(points - targets).sum(-1).mean())


def progress(starts: np.ndarray, points: np.ndarray, targets: np.ndarray) -> float:
    """Mean scalar product of the displacements that were reached and wanted.

    By the mean squared distance of starts to targets it is the share of the way that was gone: 0
    not at all, 1 arrived, more overshot; the factor by which the wanted displacements, all
    together, fit the reached ones best.
    """
    return float(((points - starts) * (targets - starts)).sum(-1).mean())
