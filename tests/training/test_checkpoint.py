"""Checkpoints in small files: what goes in comes out, whole or with one clear error."""

from pathlib import Path

import pytest
import torch

from diffeditor.training import checkpoint
from diffeditor.training.checkpoint import BrokenCheckpoint, read_checkpoint, write_checkpoint


def test_what_is_written_is_read(tmp_path: Path) -> None:
    held = {
        "weights": {"a.b": torch.randn(2, 3, generator=torch.Generator().manual_seed(0))},
        "moments": {0: {"step": torch.tensor(3.0)}, 12: {"step": torch.tensor(4.0)}},
        "groups": [{"lr": 0.1, "betas": [0.9, 0.99], "fused": True}],
        "state": {"step": 3, "history": [[1, 2.0, 3.0]], "none": None},
    }
    write_checkpoint(tmp_path / "run", held)
    read = read_checkpoint(tmp_path / "run")
    assert read is not None
    assert torch.equal(read["weights"]["a.b"], held["weights"]["a.b"])
    assert {key: float(one["step"]) for key, one in read["moments"].items()} == {0: 3.0, 12: 4.0}
    assert (read["groups"], read["state"]) == (held["groups"], held["state"])


def test_no_file_is_larger_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "PIECE", 100)
    tensors = {str(i): torch.full((10,), float(i)) for i in range(7)}
    write_checkpoint(tmp_path / "run", {"many": tensors, "large": torch.zeros(50)})
    files = sorted((tmp_path / "run").glob("*.safetensors"))
    assert len(files) == 5
    read = read_checkpoint(tmp_path / "run")
    assert read is not None
    assert [float(read["many"][i][0]) for i in range(7)] == [float(i) for i in range(7)]
    assert read["large"].shape == (50,)


def test_nothing_is_read_where_nothing_was_written(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "run") is None


def test_a_write_that_fails_keeps_the_old_one(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "run", {"step": 1})
    with pytest.raises(TypeError):
        write_checkpoint(tmp_path / "run", {"step": object()})
    assert read_checkpoint(tmp_path / "run") == {"step": 1}


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_one_says_what_to_do(damage: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "run", {"weights": torch.zeros(4)})
    (piece,) = (tmp_path / "run").glob("*.safetensors")
    if damage == "missing":
        piece.unlink()
    else:
        piece.write_bytes(piece.read_bytes()[:-3])
    with pytest.raises(BrokenCheckpoint, match="remove it to begin again"):
        read_checkpoint(tmp_path / "run")
