import pytest

from ui import text


@pytest.mark.parametrize(
    ("reached", "words"),
    [
        ([], "Done in 2.5 s."),
        ([0.86], "Done in 2.5 s. It went 86 % of its way."),
        ([-0.1], "Done in 2.5 s. It went 0 % of its way."),
        ([1.0, 0.5], "Done in 2.5 s. Point 1 went 100 % of its way. Point 2 went 50 % of its way."),
        ([None], "Done in 2.5 s."),
        ([None, 0.5], "Done in 2.5 s. Point 2 went 50 % of its way."),
        ([None] * 9, "Done in 2.5 s."),
        ([0.2, None, 0.4] * 9, "Done in 2.5 s. The points went 30 % of their way."),
        ([0.2, 0.4] * 34, "Done in 2.5 s. The points went 30 % of their way."),
    ],
)
def test_the_end_of_an_edit_in_words(reached: list[float | None], words: str) -> None:
    metadata = {"seconds": {"total": 2.46}, "reached": reached, "warnings": []}
    assert text.done(metadata) == words


def test_warnings_are_said_at_the_end() -> None:
    metadata = {"seconds": {"total": 1}, "reached": [], "warnings": ["It is cut off."]}
    assert text.done(metadata) == "Done in 1.0 s. It is cut off."


def test_what_is_ready_may_have_warnings() -> None:
    assert text.ready(()) == text.READY
    assert text.ready(["It is cut off."]) == f"{text.READY} It is cut off."


def test_one_of_several_pictures_is_counted() -> None:
    assert text.counted("Editing 1/2", 2, 4) == "Picture 2 of 4: Editing 1/2"
