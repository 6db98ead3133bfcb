"""What is counted of melodies, and what is added so that drawn ones count the same."""

import numpy as np
import torch

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.form import FRESH
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.bars import ANY, Given, degree_of
from melodyconstraints.melody.vae.staff.calibration import (
    LAST,
    NEITHER,
    SO_FAR,
    WIDEST,
    Calibration,
)
from melodyconstraints.melody.vae.staff.decisions import recalled_bar
from melodyconstraints.melody.vae.staff.measure_calibration import calibrate, count
from melodyconstraints.melody.vae.staff.notation import (
    LINES,
    REACH,
    TOKEN_HOLD,
    TOKEN_REST,
    to_staff,
)
from melodyconstraints.melody.vae.staff.prepared_decoder import BarState, calibrated

UNIFORM = torch.zeros(1, 36).log_softmax(-1)


def of_bars(*bars: list[int]) -> np.ndarray:
    """``(1, 256)`` events: notes on the beats of each bar, silence after the last bar."""
    events = np.full((1, 256), 128, np.uint8)
    events[0, 16 * len(bars)] = 129
    for number, pitches in enumerate(bars):
        events[0, 16 * number : 16 * number + 4 * len(pitches) : 4] = pitches
    return Melodies(events).events


def test_zeros_change_nothing():
    calibration = Calibration()
    end, degrees, none = torch.tensor([20]), torch.tensor([2]), torch.tensor([ANY])
    new = torch.tensor([True])
    starts = calibration.of_start(UNIFORM, end, degrees, none, new)
    torch.testing.assert_close(starts, UNIFORM)
    sources = torch.zeros(1, 6).log_softmax(-1)
    torch.testing.assert_close(calibration.of_source(sources, 5), sources)
    torch.testing.assert_close(calibration.of_rhythm(sources), sources)
    assert not calibration.of_recalled(end, new, torch.tensor([SO_FAR])).any()
    assert not calibration.of_interval(end, degrees).any()


def test_first_lines_are_weighed_by_interval_degree_and_what_is_recalled():
    calibration = Calibration()
    end, degrees = torch.tensor([20]), torch.tensor([2])
    degree = (20 - REACH + 2) % 7
    calibration.first_intervals[degree, LINES - 1 - 3] = 9.0
    found = calibration.of_start(UNIFORM, end, degrees, torch.tensor([ANY]), torch.ones(1) > 0)
    assert found.argmax() == 17
    calibration.recalled_starts[0] = 12.0
    for new, line in ((True, 17), (False, 30)):
        found = calibration.of_start(
            UNIFORM, end, degrees, torch.tensor([30]), torch.tensor([new])
        )
        assert found.argmax() == line


def test_repeats_are_weighed_by_bar_and_bars_back():
    calibration = Calibration()
    calibration.sources[5, 3] = 9.0  # of the sixth bar, four back
    sources = torch.zeros(1, 6).log_softmax(-1)
    assert calibration.of_source(sources, 5).argmax() == 1 + 1
    calibration.rhythm.fill_(-9.0)
    assert calibration.of_rhythm(sources).argmax() == 0


def test_a_bar_without_a_note_is_weighed():
    calibration = Calibration()
    calibration.silence.fill_(np.log(3.0))  # three times as likely as any other of 36
    none = torch.tensor([ANY])
    found = calibration.of_start(UNIFORM, torch.tensor([20]), torch.tensor([2]), none, none > 0)
    torch.testing.assert_close(found[0, -1].exp(), torch.tensor(3 / 38))
    torch.testing.assert_close(found[0, :-1].exp(), torch.full((35,), 1 / 38))


def test_kinds_are_weighed_by_step_and_by_how_long_nothing_has_sounded():
    """Of a bar that rests from its second step, after half a beat of silence."""
    calibration = Calibration()
    calibration.kinds[1, 0] = torch.tensor([1.0, 2.0, 3.0])
    calibration.kinds[2, 5] = torch.tensor([4.0, 5.0, 6.0])
    none = torch.full((1, 7), ANY)
    given = Given(
        torch.zeros(1, 0), *2 * [torch.zeros(1, dtype=torch.long)], none, none, torch.tensor([2])
    )
    bar = torch.tensor([[17, *6 * [TOKEN_REST]]])
    terms = calibrated(calibration, given, bar)[0]
    assert terms[0, [0, 69, TOKEN_HOLD, TOKEN_REST]].tolist() == [1, 1, 2, 3]
    assert terms[5, [0, 69, TOKEN_HOLD, TOKEN_REST]].tolist() == [4, 4, 5, 6]
    assert not terms[[1, 2, 3, 4, 6]].any()


def test_the_state_of_a_bar_is_its_last_note_and_whether_it_recalls():
    bar = [17, TOKEN_HOLD, 19, TOKEN_HOLD, 21, 20]
    of_recalled = [17, TOKEN_HOLD, 18, TOKEN_HOLD, 21, TOKEN_REST]
    given = Given(
        *(torch.zeros(1, 0), *2 * [torch.zeros(1, dtype=torch.long)]),
        *(torch.full((1, 6), ANY), torch.tensor([of_recalled])),
        torch.zeros(1, dtype=torch.long),
    )
    so_far, told = BarState(given), []
    for step, token in enumerate(bar):
        told.append((so_far.last.item(), so_far.agreement.item()))
        so_far.update(step, torch.tensor([token]))
    assert told == [
        *((ANY, SO_FAR), (17, SO_FAR), (17, SO_FAR), (19, NEITHER), (19, NEITHER), (21, LAST)),
    ]
    calibration = Calibration()
    calibration.intervals[degree_of(torch.tensor(19), torch.tensor(0)), 0, WIDEST + 2] = 5.0
    calibration.recalled_tokens[1] = torch.tensor([1.0, 2.0, 3.0])
    terms = calibrated(calibration, given, torch.tensor([bar]))[0]
    assert [terms[step, token].item() for step, token in enumerate(of_recalled)] == [
        *(1, 1, 1, 3, 5 + 3, 2),  # of two lines above 19
    ]
    assert terms.count_nonzero() == 7
    assert terms[3, 21] == 5


def test_a_bar_recalls_that_of_its_rhythm_or_the_fourth_before():
    rhythms = torch.tensor([[FRESH, FRESH, 0, FRESH, FRESH, 2]])
    assert recalled_bar(rhythms, torch.arange(6)).tolist() == [[-4, -3, 0, -1, 0, 2]]


def test_counts_are_those_by_hand(generator):
    """Four bars, of which the third is the first again and the fourth has the second's rhythm."""
    events = of_bars([60, 62, 64, 60], [67, 65], [60, 62, 64, 60], [67, 64])
    found = count(generator, events)
    assert found.sources[2].tolist() == [0, 0, 1, *[0] * 14]
    assert found.sources[0, 0] == found.sources[1, 0] == found.sources[3, 0] == 1
    assert found.rhythm[1] >= 1
    assert found.silence.tolist() == [2, 1]  # the other silent bars repeat the first of them
    assert found.kinds.sum(1).tolist() == [[4 + 2, 12 + 14, 1], [0, 0, 3], [0, 0, 12], [0, 0, 0]]
    assert found.recalled_starts[0].tolist() == [0, 1]  # both begin on G
    assert found.recalled_tokens[0].sum(0).tolist() == [1, 0]  # E for F
    assert to_staff(events).keys[0] == 0  # C major: the degree of C is 0
    assert found.first_intervals[0, LINES - 1 + 4] == 2  # into the second and fourth bars
    assert found.first_intervals.sum() == 2
    inside = {(0, 1): 1, (1, 1): 1, (2, -2): 1, (4, -1): 1, (4, -2): 1}
    assert found.intervals.sum() == len(inside)
    assert all(found.intervals[row, 0, WIDEST + lines] == 1 for row, lines in inside)


def test_melodies_drawn_count_more_like_those_wanted(generator, some_melodies):
    """Of random weights and random melodies: the distance of shares of repeats."""
    events = np.repeat(some_melodies.events, 20, 0)

    real = count(generator, events).sources

    def distance() -> float:
        z = torch.randn(256, generator.latent_dim, generator=torch.Generator().manual_seed(9))
        drawn = generator.decode(z, Sampling(seed=9)).numpy().astype(np.uint8)
        own = count(generator, drawn).sources
        return float(np.abs(real / real.sum() - own / own.sum()).sum())

    before = distance()
    calibrate(generator, events, rounds=4)
    assert distance() < 0.5 * before
    assert all(buffer.isfinite().all() for buffer in generator.calibration.buffers())


def test_a_calibration_begins_anew(generator, some_melodies):
    generator.calibration.sources.fill_(3.0)
    calibrate(generator, some_melodies.events, rounds=0)
    assert not generator.calibration.sources.any()
