"""The hub: exact sizes before a download, resumption, pins, and no connection for what is here."""

import socket
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import constants

import diffeditor.hub as hub
from diffeditor import load_editor
from diffeditor.errors import ModelUnavailable
from diffeditor.hub import KNOWN, Address, Known, blobs, cached, digest, fetch
from diffeditor.weights import cached_image_prompt, find_image_prompt, find_model, verify
from tests.fake_hub import COMMIT, FakeHub, running_hub

REPO = "someone/tiny"
TINY = Address(repo=REPO, revision="main")
WEIGHTS = {
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
    "image_encoder/model.safetensors",
    "image_prompt.safetensors",
}


@pytest.fixture
def online(tmp_path: Path, tiny_folder: Path) -> Iterator[FakeHub]:
    """A hub that serves the tiny model."""
    with running_hub(tmp_path / "cache") as served:
        served.repos[REPO] = tiny_folder
        yield served


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every attempt to open a connection from here on; each of them fails."""
    tried: list[object] = []

    def refused(_self: object, address: object) -> None:
        tried.append(address)
        raise OSError("no connections here")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket.socket, "connect_ex", refused)
    return tried


def quietly(address: Address = TINY, **options: bool) -> Path:
    return fetch(address, tell=lambda _: None, **options)


def test_a_model_is_downloaded_and_loads_to_the_same_weights(
    online: FakeHub, tiny_folder: Path
) -> None:
    editor, local = load_editor(REPO, device="cpu"), load_editor(tiny_folder, device="cpu")
    assert editor.model_name == REPO
    for part in ("unet", "vae", "text_encoder", "image_encoder", "image_prompt"):
        ours = getattr(editor._backbone, part).state_dict()
        theirs = getattr(local._backbone, part).state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_what_is_here_is_used_without_a_connection(
    online: FakeHub, tiny_folder: Path, connections: list[object]
) -> None:
    assert find_model(tiny_folder) == tiny_folder
    load_editor(tiny_folder, device="cpu")
    assert connections == [] and online.asked == []


def test_a_cached_model_starts_offline(
    online: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = quietly()
    online.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    load_editor(REPO, device="cpu")
    assert find_model(REPO) == folder == cached(TINY)
    assert online.asked == []


def test_the_exact_size_is_told_before_the_download(online: FakeHub, tiny_folder: Path) -> None:
    told: list[tuple[str, int]] = []
    folder = fetch(TINY, tell=lambda text: told.append((text, len(online.sent()))))
    got = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in got)
    ((text, sent),) = told
    assert text.startswith(f"{REPO}@main: {size:,} bytes to download to ")
    assert f"({len(got)} files, " in text
    assert not any(name in WEIGHTS for name in online.sent()[:sent])


def test_nothing_is_told_or_sent_twice(online: FakeHub) -> None:
    quietly()
    online.asked.clear()
    told: list[str] = []
    fetch(TINY, tell=told.append)
    assert told == [] and not WEIGHTS & set(online.sent())


def test_an_interrupted_download_goes_on_where_it_stopped(
    online: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 256)  # what has arrived is kept by these
    online.cut = 1000
    folder = quietly()
    assert len(online.resumed) == 1 and online.resumed[0].endswith(".safetensors")
    assert all(checked.hashed for checked in verify(REPO))
    assert folder == cached(TINY)


def test_other_files_of_a_repository_stay_there(online: FakeHub, tmp_path: Path) -> None:
    served = tmp_path / "served"
    online.repos[REPO] = _copied(online.repos[REPO], served)
    for name in ("v1.safetensors", "unet/diffusion_pytorch_model.bin", "safety_checker/model.bin"):
        (served / name).parent.mkdir(exist_ok=True)
        (served / name).write_bytes(b"x" * 100)
    folder = quietly()
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in names if not name.endswith((".json", ".txt"))} == WEIGHTS


def _copied(folder: Path, target: Path) -> Path:
    for path in folder.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return target


def test_the_half_variant_is_fetched_alone(online: FakeHub, tmp_path: Path) -> None:
    served = online.repos[REPO] = _copied(online.repos[REPO], tmp_path / "served")
    for name in WEIGHTS - {"image_prompt.safetensors"}:
        path = served / name
        path.with_name(f"{path.stem}.fp16.safetensors").write_bytes(path.read_bytes())
    folder = quietly(half=True)
    weights = {path.name for path in folder.glob("*/*.safetensors")}
    assert all(".fp16." in name for name in weights) and len(weights) == 2
    assert cached(TINY) == folder
    load_editor(REPO, device="cpu")


def test_pickles_are_fetched_only_when_allowed(online: FakeHub, tmp_path: Path) -> None:
    served = online.repos[REPO] = _copied(online.repos[REPO], tmp_path / "served")
    weights = served / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelUnavailable, match="no safetensors weights in unet; choose one that"):
        quietly()
    folder = quietly(allow_pickle=True)
    assert (folder / "unet" / "diffusion_pytorch_model.bin").is_file()
    assert cached(TINY) is None and cached(TINY, allow_pickle=True) == folder


def test_a_full_disk_is_noticed_before_the_download(
    online: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(ModelUnavailable, match="bytes and .* has 10 free; make room, or set HF_HO"):
        quietly()
    assert not WEIGHTS & set(online.sent())


def test_a_hub_that_is_out_of_reach_is_explained(
    online: FakeHub, connections: list[object]
) -> None:
    with pytest.raises(ModelUnavailable, match="check the connection and try again, what has arr"):
        find_model(REPO)
    assert connections


def test_an_unknown_repository_is_refused(online: FakeHub) -> None:
    with pytest.raises(ModelUnavailable, match="The hub has no 'some/other' at 'main'"):
        find_model("some/other")


def test_offline_means_no_download(online: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match="HF_HUB_OFFLINE forbids to download it; unset"):
        find_model(REPO)
    assert online.asked == []


def test_a_partly_cached_model_is_completed(online: FakeHub) -> None:
    folder = quietly()
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert cached(TINY) is None
    online.asked.clear()
    assert find_model(REPO) == folder
    assert cached(TINY) == folder
    assert "unet/diffusion_pytorch_model.safetensors" not in online.sent()


def test_a_revision_is_asked_for_and_kept(online: FakeHub) -> None:
    find_model(f"{REPO}@{COMMIT}")
    assert cached(Address(repo=REPO, revision=COMMIT)) is not None
    assert cached(TINY) is None  # no branch was named


def test_hashes_of_the_hub_are_compared(online: FakeHub) -> None:
    folder = quietly()
    checked = list(verify(REPO))
    assert {file.path for file in checked} == set(blobs(folder))
    assert all(file.hashed and file.size == file.path.stat().st_size for file in checked)
    changed = (folder / "vae" / "diffusion_pytorch_model.safetensors").resolve()
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    with pytest.raises(ModelUnavailable, match="differs from its published hash; delete"):
        list(verify(REPO))


def test_verifying_downloads_nothing(online: FakeHub) -> None:
    with pytest.raises(ModelUnavailable, match="is not whole on this machine; fetch it first"):
        list(verify(REPO))
    assert online.asked == []


def test_digests_are_those_of_sha256_and_git(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hello\n")
    assert digest(path, "0" * 40) == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert digest(path, "0" * 64).startswith("5891b5b522d5df086d0ff0b110fbd9d21bb4fc71")


class TestKnown:
    """Repositories that DiffEditor knows by name."""

    @pytest.fixture
    def prompts(self, online: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
        """The hub, where IP-Adapter's files are the tiny model's."""
        tiny = Known(
            kind="image prompt",
            about="",
            licence="",
            gigabytes=0,
            files=(
                "image_prompt.safetensors",
                "image_encoder/config.json",
                "image_encoder/model.safetensors",
            ),
        )
        monkeypatch.setitem(KNOWN, hub.IP_ADAPTER, tiny)  # type: ignore[arg-type]
        monkeypatch.setattr("diffeditor.weights.IMAGE_ENCODER", "image_encoder")
        online.repos[hub.IP_ADAPTER] = online.repos[REPO]
        return online

    def test_pins_are_commits(self) -> None:
        for repo, known in KNOWN.items():
            address = Address.parse(repo)
            assert address == Address(repo=repo, revision=known.revision)
            assert len(known.revision) == 40 or known.revision == "main"
        assert KNOWN[hub.DEFAULT_MODEL].revision.startswith("451f4fe1")

    def test_a_users_revision_wins(self) -> None:
        address = Address.parse(f"{hub.DEFAULT_MODEL}@fp16")
        assert address is not None and address.revision == "fp16"

    def test_an_image_prompt_brings_its_encoder(self, prompts: FakeHub, tmp_path: Path) -> None:
        assert cached_image_prompt() is None and prompts.asked == []
        found = find_image_prompt(hub.IP_ADAPTER, None, tmp_path)
        assert found.prompt.name == "image_prompt.safetensors"
        assert (found.encoder / "model.safetensors").is_file()
        assert cached_image_prompt() == found

    def test_a_fetched_image_prompt_is_used_where_it_fits(
        self, prompts: FakeHub, tmp_path: Path
    ) -> None:
        plain = _copied(prompts.repos[REPO], tmp_path / "plain")
        (plain / "image_prompt.safetensors").unlink()
        assert not load_editor(plain, device="cpu")._backbone.has_image_prompt
        find_image_prompt(hub.IP_ADAPTER, None, tmp_path)
        assert load_editor(plain, device="cpu")._backbone.has_image_prompt
        assert load_editor("embedded", device="cpu")._backbone.has_image_prompt

    def test_a_pickled_image_prompt_needs_leave(self, online: FakeHub, tmp_path: Path) -> None:
        served = tmp_path / "released"
        (served / "model").mkdir(parents=True)
        (served / "model" / "ip_sd15_64.bin").write_bytes(b"x")
        online.repos["Adapter/DragonDiffusion"] = served
        with pytest.raises(ModelUnavailable, match="is a pickle file; allow pickle files to get"):
            find_image_prompt("Adapter/DragonDiffusion", tmp_path, tmp_path)
        found = find_image_prompt("Adapter/DragonDiffusion", tmp_path, tmp_path, allow_pickle=True)
        assert found.prompt.read_bytes() == b"x" and found.encoder == tmp_path


@pytest.mark.parametrize(
    "text",
    [
        *("name", "a/b/c", "/a/b", "./a/b", "~/a", "a/", "/a", "", "@x"),
        *("C:/models", "my models/sd", "models/größe", "runs/sd.git", "models/sd.safetensors"),
    ],
)
def test_other_texts_are_no_addresses(text: str) -> None:
    assert Address.parse(text) is None


def test_files_of_a_model_are_found_whatever_separates_folders(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relative = Path.relative_to
    monkeypatch.setattr(
        Path, "relative_to", lambda path, other: PureWindowsPath(relative(path, other))
    )
    assert hub._complete(tiny_folder, None, False)


@pytest.mark.parametrize(
    ("text", "revision"), [("a/b", "main"), ("a/b@v1", "v1"), (f"a/b@{COMMIT}", COMMIT)]
)
def test_an_address_has_a_revision(text: str, revision: str) -> None:
    assert Address.parse(text) == Address(repo="a/b", revision=revision)
