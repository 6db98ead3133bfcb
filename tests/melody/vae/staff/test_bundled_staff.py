"""The packaged staff generator: it loads by its name and draws melodies with form."""

import numpy as np

from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.metrics.statistics import pitch_range, repeated_bars
from melodyconstraints.workflows.generate import generate
from melodyconstraints.workflows.models import PACKAGED, STAFF_NAME, home_of, load_model
from melodyconstraints.workflows.reconstruct import reconstruct


def test_a_tune_comes_back_at_any_height():
    """Half precision knows few ranks of high places."""
    roots = range(24, 121, 6)
    tunes = [
        Melody.from_notes([(8 * n, 8, root + step) for n, step in enumerate((0, 2, 4, 5, 7, 4))])
        for root in roots
    ]
    found = reconstruct(load_model(STAFF_NAME), tunes, temperature=0.0)
    assert [one.pitches.tolist() for one in found] == [one.pitches.tolist() for one in tunes]


def test_the_packaged_generator_draws_melodies_with_form():
    model = load_model(STAFF_NAME)
    assert (model.folder, home_of(model)) == (STAFF_NAME, PACKAGED[STAFF_NAME])
    melodies = generate(model, 64, seed=3)
    # Held-out melodies: .18 and 17.6; the LSTM model: .004 and 26.8. Standard errors: .02 and .8.
    assert 0.1 < repeated_bars(melodies).mean() < 0.26
    assert 14 < pitch_range(melodies).mean() < 21
    np.testing.assert_array_equal(melodies.events, generate(model, 64, seed=3).events)
