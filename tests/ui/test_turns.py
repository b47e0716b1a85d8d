from ui.turns import Turns


def test_only_the_latest_edit_goes_on() -> None:
    turns = Turns()
    first = turns.begin(turns.ask())
    assert first()
    second = turns.begin(turns.ask())
    assert second() and not first()


def test_a_stop_ends_all_of_them_and_the_next_one_begins() -> None:
    turns = Turns()
    running, waiting = turns.begin(turns.ask()), turns.ask()
    turns.stop()
    assert not running() and not turns.begin(waiting)() and not turns.wanted
    assert turns.begin(turns.ask())() and turns.wanted


def test_of_two_edits_with_one_number_one_begins() -> None:
    turns = Turns()
    number = turns.ask()
    first, second = turns.begin(number), turns.begin(number)
    assert first() and not second()


def test_an_edit_that_nobody_waits_for_any_more_does_not_begin() -> None:
    turns = Turns()
    old = turns.ask()
    turns.begin(turns.ask())
    assert not turns.begin(old)()


def test_an_edit_goes_on_until_it_ends_or_is_stopped() -> None:
    turns = Turns()
    assert not turns.going
    turns.begin(turns.ask())
    assert turns.going
    turns.end()
    assert not turns.going and turns.wanted
    turns.ask()
    turns.stop()
    assert not turns.going and not turns.wanted
