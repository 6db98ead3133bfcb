"""Rules that no melody satisfies together are refused before anything is drawn."""

import re
from dataclasses import replace

import pytest

import melodyconstraints as mc
from melodyconstraints.errors import UsageError
from melodyconstraints.rules import all_of, find_rule, find_rules, negate
from melodyconstraints.workflows.contradictions import refuse_contradictions


def contradiction(*rules):
    """What is told of rules; None where a melody may satisfy them all."""
    try:
        refuse_contradictions(find_rules(rules))
    except UsageError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (("pitch-classes:0,2", "steps:60%", "pitch-classes:1,3"), "no note is in all"),
        (("cmajor", "scale:F#-pentatonic"), "no note is in all"),
        (("rhythm:x...x...", "density:128"), "they have 64 to 64 and 128 to 256 notes in 16 bars"),
        (("density:40..60", "density:80"), "they have 40 to 60 and 80 to 256 notes in 16 bars"),
        (("rhythm:x...x_..", "rhythm:x.x."), "the one has a note where the other has none"),
        (("ambitus:..8", "ambitus:12..20"), "their ranges do not meet"),
        (("rests:40%", "rests:..20%"), "their ranges do not meet"),
        (("final-note:C,E", "final-note:D"), "no note is left to be the last one"),
        (
            ("final-note:C,E", "final-note:C,D", "final-note:D,E"),
            "no note is left to be the last one",
        ),
        (("cmajor", "first-note:F#"), "no note is left to be the first one"),
        (("scale:D-dorian", "final-note:C#"), "no note is left to be the last one"),
        (("compass:C4..C6", "first-note:B3"), "no note is left to be the first one"),
        (("cadence:D-dorian", "final-note:A"), "no note is left to be the last one"),
        (("not:steps:50%", "steps:50%"), "one is the opposite of the other"),
        (("rhythm:.x.x.x..", "on-beat:20%"), "the notes of the rhythm start elsewhere"),
        (("off-beat:60%", "rhythm:x..x"), "the notes of the rhythm start elsewhere"),
    ],
)
def test_what_no_melody_satisfies_is_refused(rules, told):
    asked = [rule for rule in rules if rule != "steps:60%"]
    of_both = re.escape(f"no melody satisfies {' and '.join(asked)}: {told}; leave one out")
    assert re.match(of_both, contradiction(*rules))


@pytest.mark.parametrize(
    "rules",
    [
        ("cmajor", "pitch-classes:0,2,4,7,9", "scale:G-major"),
        ("rhythm:x...x...", "density:64"),
        ("rhythm:x...x_..", "density:60..64", "rhythm:x..._..."),
        ("density:40..60", "density:60", "ambitus:..12", "ambitus:12"),
        ("rise:2..5", "rests:..20%", "steps:60%"),
        ("first-note:D", "final-note:C,D", "final-note:C4,E4", "cmajor", "compass:C4..C6"),
        ("cadence:D-dorian", "first-note:A", "final-note:D", "scale:D-dorian"),
        ("not:compass:60..64", "first-note:C4", "final-note:C6"),
        ("steps:50%", "not:steps:60%"),
        ("rhythm:x..x", "off-beat:50%", "on-beat:50%"),
        ("rhythm:_..x", "on-beat:20%"),
    ],
)
def test_what_a_melody_may_satisfy_is_not(rules):
    assert contradiction(*rules) is None


def test_the_fewest_rules_are_named():
    rules = ["final-note:C,E", "cmajor", "final-note:C,D", "compass:C3..C6", "final-note:D,E"]
    told = "satisfies final-note:C,E and final-note:C,D and final-note:D,E: no note"
    assert told in contradiction(*rules)


def test_combinations_of_one_name_are_not_taken_for_one_rule():
    of_four, of_eight = (
        all_of([replace(find_rule(f"density:{least}"), name="few")]) for least in (4, 8)
    )
    refuse_contradictions([of_four, negate(of_eight)])


def test_a_users_function_of_that_name_has_no_range_and_no_set():
    def density(melody):
        return 1.0

    (rule,) = find_rules([density])
    black = replace(rule, pitch_classes=frozenset({1, 3}))
    refuse_contradictions([rule, *find_rules(["density:..8"])])
    refuse_contradictions([black, *find_rules(["cmajor"])])


def test_no_search_and_no_training_begins(tiny_model, tiny_settings):
    rules, told = ["density:4", "density:..2"], r"no melody satisfies density:4 and density:\.\.2"
    with pytest.raises(UsageError, match=told):
        mc.generate(tiny_model, 1, rules)
    with pytest.raises(UsageError, match=told):
        mc.train_actor(tiny_model, rules, settings=tiny_settings)
    with pytest.raises(UsageError, match=r"satisfies density:\.\.2 and density:4"):
        mc.generate(tiny_model, 1, rules[1:], density=4)
    of_weight_0 = {"weights": [1, 0], "announce": lambda _: None}  # what is measured only
    mc.train_actor(tiny_model, rules, settings=tiny_settings, **of_weight_0)


def test_a_scale_beside_rules_is_looked_at():
    with pytest.raises(
        UsageError, match="no melody satisfies scale:C-major and pitch-classes:1,3"
    ):
        mc.searching_actor(mc.load_model(), ["pitch-classes:1,3"], scale="C-major")


def test_of_a_scale_without_its_tonic_only_the_notes_are_looked_at():
    model, without = mc.load_model(), {"scale": "D-dorian", "tonic": False}
    mc.searching_actor(model, ["not:scale:D-dorian"], **without)
    with pytest.raises(UsageError, match="no note is left to be the last one"):
        mc.searching_actor(model, ["final-note:Eb"], **without)
