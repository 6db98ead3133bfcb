"""Every error that the toolkit raises on purpose, and the exit code each one ends a command with.

::

    MelodyConstraintsError            1   anything below
    ├── UsageError (ValueError)       2   an argument outside its range, or against another
    ├── MidiError                     1   a MIDI file that cannot be read or holds no melody
    ├── StoreError                    1   a melody store that is missing, unfinished or foreign
    ├── ImageDataError                1   image data that are missing, truncated or foreign
    ├── PortError                     1   no MIDI port can be had, or one that does not work
    ├── WorkerError                   1   worker processes that cannot start, or die at no file
    ├── ArtifactError                 1   a model or actor folder: missing, damaged or foreign
    ├── RuleError                     1   a rule that raised, or returned something outside [0, 1]
    │   └── RuleNotFoundError         2   a rule that is not there, or a file that does not import
    └── TrainingError                 1   a training that cannot go on: NaN loss, constant reward

Messages say what was asked, what was found, and what to do next.
"""

from __future__ import annotations

from typing import Any


class MelodyConstraintsError(Exception):
    """Root of all errors raised on purpose by melodyconstraints."""

    exit_code = 1
    actor: Any = None
    """Best actor so far of a training that this error ended; None without one."""


class UsageError(MelodyConstraintsError, ValueError):
    """An argument that is outside its range or contradicts another."""

    exit_code = 2


class MidiError(MelodyConstraintsError):
    """A MIDI file that cannot be read, or that holds no melody."""


class StoreError(MelodyConstraintsError):
    """A melody store that is missing, unfinished or foreign."""


class ImageDataError(MelodyConstraintsError):
    """Image data that are missing, truncated or foreign."""


class PortError(MelodyConstraintsError):
    """No MIDI port can be had, or one does not work."""


class WorkerError(MelodyConstraintsError):
    """Worker processes that cannot start, or die at no file."""


class ArtifactError(MelodyConstraintsError):
    """A model or actor folder that is missing, damaged or foreign."""


class RuleError(MelodyConstraintsError):
    """A rule that raised, or that returned something other than a reward in [0, 1]."""


class RuleNotFoundError(RuleError):
    """A rule that does not exist, or whose file does not import."""

    exit_code = 2


class TrainingError(MelodyConstraintsError):
    """A training that cannot go on."""
