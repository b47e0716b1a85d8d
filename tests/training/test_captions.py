"""The word-level CLIP tokenizer and the variation of captions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from diffeditor.training.captions import (
    MAX_LENGTH,
    learn_merges,
    load_tokenizer,
    token_ids,
    varied,
    vocabulary,
    write_tokenizer,
)
from diffeditor.worlds import face_spec, random_face, random_scene, scene_spec


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return load_tokenizer(folder)


def test_every_word_of_the_worlds_is_one_token(tokenizer: CLIPTokenizer) -> None:
    words = {*scene_spec.VOCABULARY, *face_spec.VOCABULARY}
    assert words <= set(vocabulary())
    assert [word for word in words if tokenizer.tokenize(word) != [f"{word}</w>"]] == []


@pytest.mark.parametrize("seed", range(20))
def test_captions_survive_the_round_trip_within_the_length(
    tokenizer: CLIPTokenizer, seed: int
) -> None:
    for text in (
        scene_spec.caption(random_scene(seed)),
        face_spec.caption(random_face(seed)),
    ):
        ids = tokenizer(text).input_ids
        assert len(ids) <= MAX_LENGTH
        assert tokenizer.decode(ids, skip_special_tokens=True) == text.replace(",", " ,")


@given(text=st.text(max_size=60))
def test_any_text_is_spelled_without_unknown_tokens(tokenizer: CLIPTokenizer, text: str) -> None:
    ids = tokenizer(text).input_ids
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id
    assert "<|" in text or tokenizer.unk_token_id not in ids[1:-1]


@given(text=st.text(max_size=60) | st.lists(st.sampled_from(vocabulary())).map(" ".join))
def test_ids_of_remembered_words_are_those_of_the_tokenizer(
    tokenizer: CLIPTokenizer, text: str
) -> None:
    texts = [text, "", "a red ball, a blue cube's top and 12 rings " * 4]
    whole = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert torch.equal(token_ids(tokenizer, texts), whole)


def test_unknown_words_fall_apart_into_letters(tokenizer: CLIPTokenizer) -> None:
    pieces = tokenizer.tokenize("zqx")
    assert pieces == ["z", "q", "x</w>"]


def test_merges_depend_on_the_words_alone() -> None:
    assert learn_merges(["ball", "all"]) == learn_merges(["ball", "all"])
    assert learn_merges(["ab"]) == [("a", "b</w>")]


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_tokenizer(tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_varied_captions_add_nothing_that_could_be_wrong() -> None:
    caption = "a face with tan skin, short brown hair and blue eyes, smiling, red shirt"
    colours = {*face_spec.HAIRS, *face_spec.SHIRTS, *face_spec.SKINS, *scene_spec.COLOURS}
    rng = np.random.default_rng(0)
    texts = [varied(caption, rng) for _ in range(300)]
    said = {word.strip(",") for text in texts for word in text.split()}
    assert said & colours <= {word.strip(",") for word in caption.split()}
    assert caption in texts
    assert len(set(texts)) > 100
    assert all(text.strip() for text in texts)


def test_variation_repeats_with_its_generator() -> None:
    caption = scene_spec.caption(random_scene(1))
    first, second = (
        [varied(caption, rng) for _ in range(5)]
        for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert first == second
