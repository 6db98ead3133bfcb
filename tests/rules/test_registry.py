"""From what a user writes to a rule."""

import types
from functools import partial
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from melodyconstraints.errors import RuleError, RuleNotFoundError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.rules import (
    Rule,
    all_of,
    any_of,
    find_rule,
    find_rules,
    library,
    negate,
    rule,
)
from melodyconstraints.rules.registry import ENTRY_POINTS, installed_rules, library_rule

C_AND_FSHARP = Melodies.stack([Melody.from_notes([(0, 4, 60), (4, 4, 66)])])


@pytest.fixture
def tune(tmp_path, monkeypatch):
    """The file that novelty's example names."""
    monkeypatch.chdir(tmp_path)
    write_melody(C_AND_FSHARP[0], tmp_path / "tune.mid")


@pytest.fixture
def installed(monkeypatch):
    """Rules that other packages have installed: a function, a Rule, one that does not import."""
    module = types.ModuleType("somebodys_rules")
    module.quiet = lambda melody: 0.25
    module.loud = rule(batched=True, name="inner")(lambda melodies: np.full(len(melodies), 0.75))
    monkeypatch.setitem(__import__("sys").modules, "somebodys_rules", module)
    values = {
        "quiet": "somebodys_rules:quiet",
        "loud": "somebodys_rules:loud",
        "broken": "a_module_that_is_not_there:f",
        "renamed": "somebodys_rules:gone",
    }
    points = [EntryPoint(name, value, ENTRY_POINTS) for name, value in values.items()]

    def entry_points(*, group):
        assert group == "melodyconstraints.rules"
        return points

    monkeypatch.setattr("melodyconstraints.rules.registry.entry_points", entry_points)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("cmajor", 0.5),
        ("C-whole-tone", 1.0),
        ("scale:F-whole-tone", 0.0),
        ("pitch-classes:0,6", 1.0),
        ("pitch-classes:F#", 0.5),
        ("pitch-classes:1", 0.0),
        ("density:4", 0.5),
        ("density:0", 1.0),
        ("density:2", 1.0),
    ],
)
def test_a_specification_finds_the_rule_it_names(spec, expected):
    found = find_rule(spec)
    assert found(C_AND_FSHARP).tolist() == [expected]
    assert (found.name, found.spec) == (spec, spec)


@pytest.mark.parametrize(
    ("spec", "scale"), [("C", "C-major"), ("Gbmaj", "F#-ionian"), ("Bbm", "")]
)
def test_a_scale_alone_is_short_for_its_rule(spec, scale):
    found, same = find_rule(spec), find_rule(f"scale:{scale or spec}")
    assert (found.name, found.spec, found.description) == (spec, spec, same.description)
    assert (found.key, found.affected_features) == (same.key, same.affected_features)


@pytest.mark.usefixtures("tune")
@pytest.mark.parametrize("row", library(), ids=lambda row: row.name)
def test_every_row_of_the_library_has_an_example_that_works_and_words_that_explain(row):
    name, _, argument = row.example.partition(":")
    assert (name, bool(argument)) == (row.name, bool(row.argument))
    assert find_rule(row.example).name == row.example
    assert row.group
    assert row.summary
    assert row.formula


def test_a_row_of_the_library_is_found_by_its_name_in_any_case():
    assert [library_rule(row.name.upper()) for row in library()] == [*library()]
    assert library_rule("density:2") is library_rule("") is library_rule("mine.py") is None


@pytest.mark.usefixtures("installed")
def test_installed_rules_are_listed_without_an_import():
    assert list(installed_rules()) == ["quiet", "loud", "broken", "renamed"]
    assert installed_rules()["quiet"].value == "somebodys_rules:quiet"


def test_names_are_unique_and_the_papers_rules_are_among_them():
    names = [row.name for row in library()]
    assert len(set(names)) == len(names)
    assert {"scale", "pitch-classes", "density"} <= set(names)


def test_an_error_quotes_the_specification_and_shows_one_that_works():
    with pytest.raises(
        UsageError, match=r"^'steps:a': a share is .*, got 'a'; for example steps:"
    ):
        find_rule("steps:a")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cmajor:2", r"'cmajor:2': cmajor takes no argument, got '2'; for example cmajor"),
        ("cadence:H", r"'cadence:H': no scale is called 'H'; in English it is B; .*; for example"),
        (
            "cadence:tonic",
            r"no scale is called 'tonic'; write a tonic and a name, such as C-major",
        ),
        ("scale:", r"'scale:': no scale is called ''; write a tonic and a name, such as C-major "),
        ("scale", r"'scale': no scale is called ''"),
        ("scale:H-major", r"'H-major'; in English it is B-major; see: mc rules show scale"),
        ("scale:B-dur", r"no scale is called 'B-dur'; in English it is Bb-major; see"),
        ("key:H-moll", r"a key is written .*, got 'H-moll'; in English it is B-minor; for ex"),
        ("chords:C,Hm7", r"got 'Hm7'; in English it is Bm7; for example chords:"),
        ("pitch-classes:C,Fis", r"got 'Fis' in 'C,Fis'; in English it is F#; for example"),
        ("compass:H3..", r"got 'H3'; in English it is B3; for example compass:"),
        ("first-note:Es", r"got 'Es'; in English it is Eb; for example first-note:C,G"),
        (
            "first-note:tonic",
            r"a note is a name such as C, .* got 'tonic'; for example first-note",
        ),
        ("final-note:tonic", r"got 'tonic'; for the tonic of a scale there is cadence:D-dorian; "),
        ("density:10-20", r"'density:10-20': a range is written 10\.\.20, got '10-20'; for exam"),
        ("rests:10-20%", r"a range is written 10%\.\.20%, got '10-20%'"),
        ("rests:10..20%", r"a range is written 10%\.\.20%, got '10\.\.20%'"),
        ("rise:-5-3", r"a range is written -5\.\.3, got '-5-3'"),
        ("compass:C4 to C6", r"a range is written C4\.\.C6, got 'C4 to C6'"),
        ("bars-alike:4,50-60%", r"a range is written 50%\.\.60%, got '50-60%'"),
        ("density:20-10", r"density must be a whole number from 0 to 256, got '20-10'"),
        ("scale:D-dorain", r"the nearest are D-dorian, D-dorian-b2, D-locrian; see: mc rules sh"),
        ("density:many", r"'density:many': density must be a whole number .* 256, got 'many'"),
        ("density:-3", r"density must be a whole number from 0 to 256, got '-3'"),
        ("density:1.5", r"density must be a whole number from 0 to 256, got '1.5'"),
        ("density", r"density must be LOW..HIGH, LOW.. or ..HIGH, got ''"),
        ("density:257", r"density must be a whole number from 0 to 256, got '257'"),
        ("pitch-classes:", r"got '' in ''"),
        ("pitch-classes:0,14", r"got '14' in '0,14'"),
    ],
)
def test_an_argument_that_makes_no_sense_is_quoted(spec, message):
    with pytest.raises(UsageError, match=message):
        find_rule(spec)


DIGITS = "9" * 4_301
ABSURD = [
    *(f"density:{text}" for text in (DIGITS, f"..{DIGITS}", f"{DIGITS}..", f"1.{DIGITS}")),
    *(f"steps:{text}" for text in (DIGITS, f"{DIGITS}%", f"0.{DIGITS}", f"..{DIGITS}%")),
    *(f"{name}:{DIGITS}" for name in ("max-leap", "leaps-resolved", "max-repeats", "ambitus")),
    *(f"max-length:{text}" for text in (DIGITS, f"1/{DIGITS}", f"{DIGITS}/1", "1/0")),
    *(f"{name}:{DIGITS}" for name in ("entropy", "compass", "first-note", "pitch-classes")),
    *(f"motif:{text}" for text in (f"+{DIGITS},2", f"+2/{DIGITS},2", f"+2,{DIGITS}", "+2" * 3000)),
    *(f"bars-alike:{text}" for text in (DIGITS, f"4,{DIGITS}%")),
    *(f"rhythm:{text}" for text in ("x" * 5000, DIGITS)),
    *(f"{name}:{'C,' * 5000}C" for name in ("chords", "beat-chords")),
    *(f"{name}:{'x' * 5000}" for name in ("scale", "key", "contour", "chords", "pitch-classes")),
    "not:" * 1000,
    "not:" * 1000 + "cmajor",
    "not:" * 10 + "cmajor",
    "x" * 5000,
    "cmajor" * 1000,
    DIGITS,
    "a\nb",
]


@pytest.mark.parametrize("spec", ABSURD, ids=lambda spec: spec[:20])
def test_an_absurd_specification_is_an_error_in_a_line(spec):
    with pytest.raises((UsageError, RuleNotFoundError)) as caught:
        find_rule(spec)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_nine_nots_are_enough():
    assert find_rule("not:" * 9 + "cmajor")(C_AND_FSHARP).tolist() == [1.0]


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("cmajr", "did you mean cmajor[?]"),
        ("cadense:D-dorian", "did you mean cadence[?]"),
        ("motiv:+2+2", "did you mean motif[?]"),
        ("desnity", "did you mean density[?]"),
        ("densty:96", "did you mean density[?]"),
        ("pitch-clases:0", "did you mean pitch-classes[?]"),
        ("xyzzy", "there is no rule 'xyzzy'; see: mc rules list"),
        ("", "there is no rule ''; see: mc rules list"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_known_one(spec, hint):
    with pytest.raises(RuleNotFoundError, match=hint) as caught:
        find_rule(spec)
    assert "my_rules.py:my_rule" in str(caught.value)


@pytest.mark.usefixtures("installed")
def test_an_installed_function_is_found_by_its_entry_point():
    found = find_rule("quiet")
    assert (found.name, found.spec, found(C_AND_FSHARP).tolist()) == ("quiet", "quiet", [0.25])


@pytest.mark.usefixtures("installed")
def test_an_installed_rule_takes_the_name_of_its_entry_point():
    found = find_rule("loud")
    assert (found.name, found.spec, found(C_AND_FSHARP).tolist()) == ("loud", "loud", [0.75])


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", r"rule 'broken' \(a_module_that_is_not_there:f\) does not import: Module"),
        ("renamed", r"rule 'renamed' \(somebodys_rules:gone\) does not import: .*'gone'"),
    ],
)
def test_an_installed_rule_that_does_not_import_is_told_apart(name, message):
    with pytest.raises(RuleNotFoundError, match=message) as caught:
        find_rule(name)
    assert caught.value.__cause__ is not None


@pytest.mark.usefixtures("installed")
def test_installed_names_are_among_the_hints():
    with pytest.raises(RuleNotFoundError, match=r"did you mean quiet\?"):
        find_rule("quite")


@pytest.mark.usefixtures("installed")
def test_the_library_goes_before_installed_rules():
    assert find_rule("cmajor").pitch_classes == {0, 2, 4, 5, 7, 9, 11}


def test_specifications_rules_and_functions_mix_and_keep_their_order():
    def mine(melody):
        """Mine."""
        return 0.5

    own = Rule("own", lambda melody: 1.0)
    found = find_rules(["cmajor", own, mine])
    assert [one.name for one in found] == ["cmajor", "own", "mine"]
    assert found[1] is own
    assert found[2](C_AND_FSHARP).tolist() == [0.5]


def at_least(n):
    """A rule for a number of notes."""

    def rule(melody):
        return min(len(melody) / n, 1.0)

    return rule


def test_two_closures_are_two_rules():
    found = find_rules([at_least(4), at_least(8), rule(at_least(2)), at_least(1)])
    assert [one.name for one in found] == ["rule", "rule (2)", "rule (3)", "rule (4)"]
    assert [one(C_AND_FSHARP[0]) for one in found] == [0.5, 0.25, 1.0, 1.0]
    parts = any_of([at_least(4), at_least(8)])
    assert parts.name == "any_of(rule, rule (2))"
    assert parts(C_AND_FSHARP[0]) == 0.5


def test_a_rule_that_writes_into_a_view_does_not_falsify_the_rules_after_it():
    def spoils(melodies: Melodies):
        melodies.note_counts[:] = 0
        return np.ones(len(melodies))

    batch = Melodies(C_AND_FSHARP.events)
    first, second = find_rules([spoils, "density:4"])
    with pytest.raises(RuleError, match=r"rule spoils raised ValueError: .* read-only \(work on"):
        first(batch)
    assert second(batch).tolist() == [0.5]


def test_two_partials_and_two_combinations_are_two_rules():
    partials = find_rules([partial(min, 0.5), partial(min, 1.0)])
    assert [one.name for one in partials] == ["min", "min (2)"]
    both = ["cmajor", "density:2"]
    weighted = find_rules([all_of(both, [2, 1]), all_of(both, [1, 2])])
    assert [one(C_AND_FSHARP[0]) for one in weighted] == pytest.approx([2 / 3, 5 / 6])


@pytest.mark.parametrize("twice", [[(one := at_least(2)), one], [rule(one), rule(one)]])
def test_the_same_function_twice_is_refused(twice):
    with pytest.raises(UsageError, match="each rule may be given once, got rule, rule"):
        find_rules(twice)


def test_a_rule_and_its_specification_are_one_rule():
    for twice in (["cmajor", find_rule("cmajor")], [find_rule("cmajor"), "cmajor"]):
        with pytest.raises(UsageError, match="each rule may be given once, got cmajor, cmajor"):
            find_rules(twice)


def test_no_rules_are_no_error():
    assert find_rules([]) == []


def test_the_same_rule_twice_is_refused():
    with pytest.raises(
        UsageError, match="each rule may be given once, got cmajor, density:9, cma"
    ):
        find_rules(["cmajor", "density:9", "cmajor"])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: find_rule(None), "spec of find_rule must be text or a path, got None"),
        (
            lambda: negate(5),
            "rule of negate must be text or a path or a Rule or a function, got 5",
        ),
        (lambda: all_of([None]), r"rules of all_of must be a list of .*, got \[None\]"),
        (lambda: any_of(5), "rules of any_of must be a list of .*, got 5"),
        (lambda: all_of(["cmajor"], weights="x"), "weights of all_of must be a list of numbers"),
        (lambda: find_rules(iter([5])), "a rule is a specification such as cmajor, .*, got 5"),
    ],
)
def test_what_is_no_rule_is_refused_before_any_melody(ask, message):
    with pytest.raises(UsageError, match=message):
        ask()


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("CMAJOR", "cmajor"),
        ("Density:96", "density:96"),
        ("NOT:Cmajor", "not:cmajor"),
        ("Scale:D-Dorian", "scale:D-Dorian"),
    ],
)
def test_a_name_of_the_library_is_known_in_any_case(spec, name):
    """CMAJOR alone was read as a scale, which is about its tonic as well."""
    found = find_rule(spec)
    assert (found.name, found.spec) == (name, name)


def test_one_rule_in_two_cases_is_given_twice():
    with pytest.raises(UsageError, match="each rule may be given once, got cmajor, cmajor"):
        find_rules(["cmajor", "CMAJOR"])


@pytest.mark.usefixtures("installed")
def test_an_installed_name_in_another_case_is_suggested():
    with pytest.raises(RuleNotFoundError, match=r"no rule 'QUIET'; did you mean quiet\?"):
        find_rule("QUIET")
