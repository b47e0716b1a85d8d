"""Which of a session's edits goes on: the one that was asked for last, until Cancel is pressed."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(kw_only=True)
class Turns:
    """The clicks on Edit and Cancel of one session. It is changed in place.

    Every click takes the next number, and an edit goes on as long as its number is the latest: so
    Cancel stops all that were asked for, and a second click on Edit takes the first one's place.

    Attributes:
        latest: the number of the last click.
        begun: the number of the last edit that has begun.
        wanted: whether the last click was one on Edit.
    """

    latest: int = 0
    begun: int = -1
    wanted: bool = False

    def ask(self) -> int:
        """The number of a new edit."""
        self.latest, self.wanted = self.latest + 1, True
        return self.latest

    def stop(self) -> None:
        """Ends all edits that were asked for so far."""
        self.latest, self.wanted = self.latest + 1, False

    def begin(self, number: int) -> Callable[[], bool]:
        """Begins an edit; the answer says, whenever it is asked, whether that edit goes on.

        Two quick clicks may bring the same number: only the first edit with it begins.
        """
        begins = number == self.latest != self.begun
        if begins:
            self.begun = number
        return lambda: begins and number == self.latest
