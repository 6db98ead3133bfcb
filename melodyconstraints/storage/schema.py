"""Ranges of the values in folders: a folder outside them is refused before anything is built."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Interval, Len

Size = Annotated[int, Interval(ge=1, le=1 << 16)]
"""Units, channels or dimensions of a layer."""
Units = Annotated[int, Interval(ge=0, le=1 << 16)]
"""Units of a layer that may be left out; 0 for none."""
Depth = Annotated[int, Interval(ge=1, le=64)]
"""Layers of a network."""
Widths = Annotated[tuple[Size, ...], Len(0, 64)]
"""Sizes of the layers of a network."""
Count = Annotated[int, Interval(ge=0, le=1 << 53)]
"""A number of things; JSON's numbers are exact so far."""
Share = Annotated[float, Interval(ge=0, le=1)]
Weight = Annotated[float, Ge(0)]
