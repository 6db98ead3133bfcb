"""Reward rules on melodies: the library, the registry, and rules of the user's own.

>>> from melodyconstraints.rules import find_rule
>>> from melodyconstraints.melody.events import Melodies, Melody
>>> batch = Melodies.stack([Melody.from_notes([(0, 4, 60), (4, 4, 61)])])
>>> find_rule("cmajor")(batch), find_rule("density:4")(batch)
(array([0.5]), array([0.5]))
"""

from melodyconstraints.rules.definition import Rule, rule
from melodyconstraints.rules.registry import all_of, any_of, find_rule, find_rules, library, negate

__all__ = ["Rule", "all_of", "any_of", "find_rule", "find_rules", "library", "negate", "rule"]
