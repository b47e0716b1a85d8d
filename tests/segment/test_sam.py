"""Segment Anything through a tiny model of the library's own classes with random weights."""

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from transformers import SamConfig, SamImageProcessorPil, SamModel

from diffeditor.errors import EmptyMask, InvalidEdit, ModelUnavailable
from diffeditor.segment import load_segmenter
from diffeditor.segment.sam import KEPT, Sam

SIDE, PATCH, WIDTH = 64, 16, 32


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that sees squares of 64 pixels; not to be written to."""
    cells = SIDE // PATCH
    config = SamConfig(
        vision_config={
            "hidden_size": WIDTH,
            "output_channels": WIDTH,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": PATCH,
            "window_size": 2,
            "global_attn_indexes": [0],
            "num_pos_feats": WIDTH // 2,
            "mlp_dim": WIDTH,
        },
        prompt_encoder_config={
            "hidden_size": WIDTH,
            "image_size": SIDE,
            "patch_size": PATCH,
            "image_embedding_size": cells,
        },
        mask_decoder_config={
            "hidden_size": WIDTH,
            "mlp_dim": WIDTH,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": WIDTH,
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SamModel(config)
    path = tmp_path_factory.mktemp("sam")
    model.save_pretrained(str(path))
    SamImageProcessorPil(
        size={"longest_edge": SIDE},
        pad_size={"height": SIDE, "width": SIDE},
        mask_size={"longest_edge": 4 * cells},
        mask_pad_size={"height": 4 * cells, "width": 4 * cells},
    ).save_pretrained(str(path))
    return path


@pytest.fixture
def sam(folder: Path) -> Sam:
    return Sam.load(folder)


def picture(seed: int, height: int = 40, width: int = 100) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


PREVIOUS = np.zeros((40, 100), bool)
PREVIOUS[10:20, 30:60] = True
HINTS = [
    {"positive": [(50, 20)]},
    {"positive": [(50, 20), (70, 30)], "negative": [(5, 5)]},
    {"box": (20, 10, 60, 35)},
    {"box": (20, 10, 60, 35), "positive": [(50, 20)]},
    {"previous": PREVIOUS},
    {"previous": PREVIOUS, "positive": [(50, 20)]},
]


def masks(sam: Sam, image: np.ndarray) -> list[np.ndarray | None]:
    """What each of the hints gives; None where the random model finds nothing."""
    found: list[np.ndarray | None] = []
    for hints in HINTS:
        try:
            found.append(sam.segment(image, **hints))
        except EmptyMask:
            found.append(None)
    return found


def test_masks_have_the_pictures_size(sam: Sam) -> None:
    found = [mask for mask in masks(sam, picture(0)) if mask is not None]
    assert found
    assert {(mask.shape, mask.dtype) for mask in found} == {((40, 100), np.dtype(bool))}


def test_a_picture_is_embedded_once(sam: Sam) -> None:
    with patch.object(
        SamModel, "get_image_embeddings", autospec=True, side_effect=SamModel.get_image_embeddings
    ) as embed:
        masks(sam, picture(0))
        assert embed.call_count == 1
        masks(sam, picture(1))
        masks(sam, picture(0))
        assert embed.call_count == 2


def test_few_pictures_are_kept_the_latest_used(sam: Sam) -> None:
    with patch.object(
        SamModel, "get_image_embeddings", autospec=True, side_effect=SamModel.get_image_embeddings
    ) as embed:
        for seed in range(KEPT):
            masks(sam, picture(seed))
        masks(sam, picture(0))
        masks(sam, picture(KEPT))
        assert embed.call_count == KEPT + 1
        masks(sam, picture(0))
        assert embed.call_count == KEPT + 1
        masks(sam, picture(1))
        assert embed.call_count == KEPT + 2


def test_hints_reach_the_model_in_its_own_pixels(sam: Sam) -> None:
    with patch.object(SamModel, "forward", autospec=True, side_effect=SamModel.forward) as run:
        masks(sam, picture(0, 40, 100))
    single, several, box, both, earlier, _ = (call.kwargs for call in run.call_args_list)
    scale = torch.tensor([SIDE / 100, 26 / 40])  # 64 x 26 pixels, padded to a square below
    torch.testing.assert_close(single["input_points"][0, 0], torch.tensor([[50.0, 20.0]]) * scale)
    assert several["input_labels"].tolist() == [[[1, 1, 0]]]
    corners = box["input_boxes"][0, 0].view(2, 2)
    torch.testing.assert_close(corners, torch.tensor([[20.0, 10.0], [60.0, 35.0]]) * scale)
    assert both.keys() >= {"input_points", "input_boxes"}
    assert earlier["input_masks"].shape == (1, 1, 16, 16)
    assert (earlier["input_masks"][0, 0] > 0).any()
    assert "input_boxes" in earlier
    assert [call.kwargs["multimask_output"] for call in run.call_args_list] == [True] + 5 * [False]


def test_the_same_hints_give_the_same_mask(sam: Sam, folder: Path) -> None:
    other = load_segmenter(folder)
    for hints, mask in zip(HINTS, masks(sam, picture(3)), strict=True):
        if mask is not None:
            np.testing.assert_array_equal(other.segment(picture(3), **hints), mask)


def test_loading_leaves_the_random_state_alone(folder: Path) -> None:
    before = torch.random.get_rng_state()
    Sam.load(folder)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_wrong_hints_are_refused_before_the_model_runs(sam: Sam) -> None:
    with pytest.raises(InvalidEdit, match="Click on the object"):
        sam.segment(picture(0))


def test_a_missing_or_foreign_folder_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        load_segmenter(tmp_path / "nowhere")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ModelUnavailable, match="preprocessor"):
        load_segmenter(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelUnavailable, match="SamModel"):
        load_segmenter(tmp_path)
