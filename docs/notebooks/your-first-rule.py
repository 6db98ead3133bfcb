# %% [markdown]
# # Your first rule in five minutes
#
# A rule is a function from a melody to a number between 0 and 1. Here is one: *the highest note comes once, as a climax.*

# %%
import numpy as np

import melodyconstraints as mc


@mc.rule
def one_climax(melody):
    """One over the number of times that the highest pitch is played."""
    if len(melody) == 0:
        return 0.0
    return 1 / np.sum(melody.pitches == melody.pitches.max())


# %% [markdown]
# The reward is 1 where the rule is satisfied, and the greater, the nearer a melody is to that: a search climbs along it.
# Try it on two melodies written by hand, as `(step, length, pitch)` in sixteenths:

# %%
once = mc.Melody.from_notes([(0, 4, 60), (4, 4, 67), (8, 8, 64)])
thrice = mc.Melody.from_notes([(0, 4, 67), (4, 4, 67), (8, 8, 67)])
one_climax(once), round(one_climax(thrice), 2)

# %% [markdown]
# How do the packaged model's own melodies fare, under no rule?

# %%
model = mc.load_model()
free = mc.generate(model, 16, seed=1)
one_climax(free).round(2)

# %% [markdown]
# And under the rule? The model is not trained again: its latent space is searched.

# %%
melodies = mc.generate(model, 4, ["cmajor", one_climax], seed=1)
one_climax(melodies), mc.find_rule("cmajor")(melodies)

# %%
melodies[0]

# %% [markdown]
# `melody.pitches`, `.onsets`, `.durations` (in sixteenths), `.intervals` and `.bars` are NumPy arrays. Save the function in
# `my_rules.py`, without the decorator if you like, and every command takes it as `--rule my_rules.py:one_climax`:
# [your own rule](../rules.md#rules-of-your-own).

# %%
mc.write_melody(melodies[0], "climax.mid", tempo=96)
