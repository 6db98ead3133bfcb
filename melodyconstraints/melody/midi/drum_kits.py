"""Drums in a MIDI file: which channels play them.

Channel 10 does, other channels do not, unless the file says otherwise:

* by the bank of a program change: XG and General MIDI 2 have banks of drum kits, the latter also
  one of melody instruments. On Roland's GS devices bank 127 has the sounds of an older device;
* by a system exclusive event that gives a part of a GS or XG device a drum kit or a melody
  instrument. It holds until the device is reset to GS, XG or General MIDI.

See *Roland SC-88 Owner's Manual* (MIDI implementation), Yamaha's *XG Specifications* and the MIDI
association's *General MIDI System Level 1* and *General MIDI 2* (RP-024).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter

LONGEST_EXCLUSIVE = 10
"""Bytes of the longest system exclusive event that counts here, from the maker's on."""
_DRUM_CHANNEL = 9
"""Channel 10, counted from 0."""
_GM2_DRUMS, _GM2_MELODY = 120, 121
_XG_DRUMS = (126, 127)
"""Banks (controller 0) of drums and melody instruments in General MIDI 2 and of drums in XG."""
_GS_RESET = re.compile(rb"\x41.\x42\x12(?:\x40\x00\x7f\x00|\x00\x00\x7f[\x00\x01])", re.DOTALL)
"""GS Reset, and the choice of one or two times 16 parts (SC-88), which resets as well."""
_XG_ON = re.compile(rb"\x43[\x10-\x1f]\x4c\x00\x00[\x7e\x7f]\x00")
"""XG System On and All Parameter Reset."""
_GM_ON = re.compile(rb"\x7e.\x09[\x01\x03]", re.DOTALL)
_GS_PART_MODE = re.compile(rb"\x41.\x42\x12\x40([\x10-\x1f])\x15([\x00-\x02])", re.DOTALL)
_XG_PART_MODE = re.compile(rb"\x43[\x10-\x1f]\x4c\x08([\x00-\x0f])\x07([\x00-\x05])")
"""Part, and 0 for a melody part or the number of a drum map or drum set-up."""


class DrumKits:
    """Settings under which channels play drums, and from when on.

    Args:
        exclusives: (tick, bytes) of the file's system exclusive events, in the order of the file;
            those longer than :data:`LONGEST_EXCLUSIVE` may be missing.
    """

    def __init__(self, exclusives: Iterable[tuple[int, bytes]]) -> None:
        self._changes: list[tuple[int, int | None, bool]] = []
        is_gs = is_xg = False
        for tick, body in sorted(exclusives, key=itemgetter(0)):
            gs, xg = _GS_RESET.match(body), _XG_ON.match(body)
            is_gs, is_xg = is_gs or bool(gs), is_xg or bool(xg)
            if gs or xg or _GM_ON.match(body):
                self._changes.append((tick, None, False))
            elif match := _GS_PART_MODE.match(body):
                part = match[1][0] & 0x0F  # part 0 is channel 10, then come 1 to 9 and 11 to 16
                channel = _DRUM_CHANNEL if part == 0 else part - (part <= _DRUM_CHANNEL)
                self._changes.append((tick, channel, match[2] != b"\0"))
            elif match := _XG_PART_MODE.match(body):
                self._changes.append((tick, match[1][0], match[2] != b"\0"))
        self._banks = {_GM2_DRUMS: True, _GM2_MELODY: False}
        if is_xg or not is_gs:
            self._banks |= dict.fromkeys(_XG_DRUMS, True)

    def holds(self, channel: int, bank: int, tick: int) -> bool:
        """Whether a channel, from 0, plays drums from this bank at a tick."""
        by_mode = channel == _DRUM_CHANNEL
        for start, of, is_drum in self._changes:
            if start > tick:
                break
            if of in (None, channel):
                by_mode = is_drum if of is not None else channel == _DRUM_CHANNEL
        return self._banks.get(bank, by_mode)
