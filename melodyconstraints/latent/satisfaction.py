"""When a reward counts as satisfied, and when a critic predicts it: one place for both."""

from __future__ import annotations

SATISFIED = 1 - 1e-6
"""A reward of at least this is satisfied."""
PREDICTED_SATISFIED = 0.5
"""A critic's value of at least this predicts satisfaction, where no reward can be measured."""
