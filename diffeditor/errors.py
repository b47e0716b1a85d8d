"""Everything DiffEditor raises for bad input or a missing resource.

    DiffEditorError
    |-- InvalidEdit          the task as given cannot be edited
    |   |-- EmptyMask        a mask selects nothing
    |   |-- OutOfBounds      a point, shift or object leaves the picture
    |   |-- NoFaceFound      no landmarks could be found on a portrait
    |   |-- InvalidImage     a picture cannot be read, or its size cannot be edited
    |   `-- InvalidSetting   a preset, step count, strength or recipe field is wrong
    |-- ModelUnavailable     weights are missing, damaged or of the wrong kind
    |-- OutOfMemory          the device has no room for this working size
    `-- Cancelled            the caller stopped the run

Each message is one sentence that tells the user what to do.
"""


class DiffEditorError(Exception):
    """Base of all errors that DiffEditor raises on purpose."""


class InvalidEdit(DiffEditorError, ValueError):
    """The task cannot be carried out as given."""


class EmptyMask(InvalidEdit):
    """A mask selects no pixel, or nothing that the edit could act on."""


class OutOfBounds(InvalidEdit):
    """A point, a shift or an object lies outside the picture."""


class NoFaceFound(InvalidEdit):
    """No face landmarks could be found where one is needed."""


class InvalidImage(InvalidEdit):
    """A picture cannot be read or is too small or too large to edit."""


class InvalidSetting(InvalidEdit):
    """A preset name, a step count, a strength or a recipe field is not acceptable."""


class ModelUnavailable(DiffEditorError):
    """Model weights are missing, damaged or not of the expected kind."""


class OutOfMemory(DiffEditorError):
    """The device ran out of memory at this working size."""


class Cancelled(DiffEditorError):
    """The run was stopped by its caller."""
