"""Which of a session's edits goes on: the one that was asked for last, until Cancel is pressed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Marked:
    """What an edit, or advice on one, is about.

    Attributes:
        rev: the number of the canvas's state, which only grows.
        controls: what is set beside the canvas.
    """

    rev: int = -1
    controls: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Turns:
    """The clicks on Edit and Cancel of one session. It is changed in place.

    Every click takes the next number, and an edit goes on as long as its number is the latest: so
    Cancel stops all that were asked for, and a second click on Edit takes the first one's place.

    Attributes:
        latest: the number of the last click.
        begun: the number of the last edit that has begun.
        wanted: whether the last click was one on Edit.
        going: whether an edit is still to begin or to end.
        last: what the last edit that has begun is about; None once something else was marked.
    """

    latest: int = 0
    begun: int = -1
    wanted: bool = False
    going: bool = False
    last: Marked | None = None

    def ask(self) -> int:
        """The number of a new edit."""
        self.latest, self.wanted, self.going = self.latest + 1, True, True
        return self.latest

    def stop(self) -> None:
        """Ends all edits that were asked for so far."""
        self.latest, self.wanted, self.going = self.latest + 1, False, False

    def end(self) -> None:
        """The last edit that was asked for is over."""
        self.going = False

    def begin(self, number: int, marked: Marked | None = None) -> Callable[[], bool]:
        """Begins an edit; the answer says, whenever it is asked, whether that edit goes on.

        Two quick clicks may bring the same number: only the first edit with it begins.
        """
        begins = number == self.latest != self.begun
        if begins:
            self.begun, self.last = number, marked
        return lambda: begins and number == self.latest

    def edited(self, marked: Marked) -> bool:
        """Whether the last edit is about this, or about something later; else that edit is past."""
        edited = self.last is not None and (marked == self.last or marked.rev < self.last.rev)
        if not edited:
            self.last = None
        return edited
