"""Captions of labels and labels of captions: one is the other backwards."""

import itertools
import subprocess
import sys

import pytest

from melodyconstraints.datasets.images.celeba import PAPER_ATTRIBUTES
from melodyconstraints.errors import UsageError
from melodyconstraints.images.grammar import PHRASES, describe, phrase_of

FORTY = [
    *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs"),
    *("Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair"),
    *("Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair"),
    *("Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache"),
    *("Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline"),
    *("Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings"),
    *("Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young"),
]


def holding(names, *held):
    return [name in held for name in names]


@pytest.mark.parametrize(
    ("held", "caption"),
    [
        ((), "an older woman"),
        (("Young",), "a young woman"),
        (("Male",), "an older man"),
        (("Young", "Wearing_Hat"), "a young woman wearing a hat"),
        (("Smiling", "Young", "Blond_Hair"), "a smiling young woman with blond hair"),
        (
            ("Bald", "Male", "Facial_Hair", "Eyeglasses", "Wearing_Hat"),
            "an older bald man with facial hair, wearing eyeglasses and a hat",
        ),
        (
            ("Young", "Black_Hair", "Blond_Hair", "Brown_Hair", "Facial_Hair"),
            "a young woman with black, blond and brown hair and facial hair",
        ),
    ],
)
def test_the_papers_ten_attributes_in_words(held, caption):
    assert describe(PAPER_ATTRIBUTES, holding(PAPER_ATTRIBUTES, *held)) == caption


def test_what_is_unknown_of_a_person_is_not_said():
    assert describe(["Smiling"], [0]) == "a person"
    assert describe(["Smiling", "Young"], [1, 0]) == "a smiling older person"
    assert describe(["Male"], [0]) == "a woman"


def test_other_attributes_come_last_by_their_names():
    names = ["Big_Nose", "Pale-Skin", "Facial_Hair", "Brown_Hair", "Wearing_Necktie", "Male"]
    expected = "a man with brown hair, facial hair, big nose and pale skin, wearing a necktie"
    assert describe(names, [1] * 6) == expected


def test_the_order_of_known_names_does_not_matter():
    labels = holding(PAPER_ATTRIBUTES, "Smiling", "Black_Hair", "Eyeglasses", "Wearing_Hat")
    assert describe(PAPER_ATTRIBUTES[::-1], labels[::-1]) == describe(PAPER_ATTRIBUTES, labels)


def test_all_combinations_of_the_ten_have_captions_of_their_own():
    combinations = list(itertools.product([False, True], repeat=10))
    captions = [describe(PAPER_ATTRIBUTES, labels) for labels in combinations]
    assert len(set(captions)) == 1024


@pytest.mark.parametrize("names", [FORTY, ["Red", "Very_Round", "Red_Hair"], ["Young"]])
def test_other_labels_of_other_sets_of_names_have_other_captions(names, rng):
    drawn = (rng.random((500, len(names))) < rng.random((500, 1))).tolist()
    captions = {describe(names, labels) for labels in drawn}
    assert len(captions) == len({tuple(labels) for labels in drawn})


def test_celebas_attributes_without_a_row_read_well_after_with():
    known = {name for name in FORTY if name in PHRASES}
    assert known == PHRASES.keys() - {"Facial_Hair"}
    assert not [name for name in FORTY if "Wearing" in name and phrase_of(name).kind == "with"]


def test_classes():
    names = [str(digit) for digit in range(10)]
    captions = [describe(names, holding(names, name), exclusive=True) for name in names]
    assert captions[0] == "the digit zero"
    assert captions[9] == "the digit nine"
    assert len(set(captions)) == 10
    assert describe(["Ankle boot", "Shirt"], [0, 1], exclusive=True) == "a shirt"


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="give a label for each of 2 names, got 3"):
        describe(["Male", "Young"], [0, 1, 1])
    with pytest.raises(UsageError, match="exactly one of 0, 1, 2 must hold, got 2"):
        describe(["0", "1", "2"], [1, 0, 1], exclusive=True)


def test_the_grammar_loads_without_torch():
    program = (
        "import sys; import melodyconstraints.images.grammar; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
