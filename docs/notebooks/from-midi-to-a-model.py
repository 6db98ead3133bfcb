# %% [markdown]
# # From a folder of MIDI to a model
#
# In the shell these are three commands: `mc extract-melodies`, `mc train-vae`, `mc generate --model`. In Python, with a folder so
# small and a training so short that it shows the way and no more; a good model takes thousands of files and an hour.

# %%
from pathlib import Path
from subprocess import check_output

import melodyconstraints as mc

Path("midi").mkdir()
for number, melody in enumerate(mc.generate(mc.load_model(), 24, seed=2)):
    mc.write_melody(melody, f"midi/tune-{number:02}.mid")

# %% [markdown]
# Every unique melody of 16 bars, in splits by tune, so that no copy of a tune is on both sides:

# %%
print(check_output(["mc", "extract-melodies", "midi/", "-o", "melodies/"], text=True))
data = {split: mc.read_store("melodies", split) for split in ("train", "validation", "test")}
{split: len(melodies.events) for split, melodies in data.items()}

# %% [markdown]
# A hierarchical VAE; `mc train-vae --preset small` is the same with the sizes of the bundled model:

# %%
from melodyconstraints.melody.vae.config import MelodyVAEConfig
from melodyconstraints.melody.vae.training import train_melody_vae
from melodyconstraints.vae.training import TrainingSettings

config = MelodyVAEConfig(
    latent_dim=16,
    encoder="hierarchical",
    encoder_units=32,
    bar_code=32,
    conductor_units=32,
    conductor_layers=1,
    bar_embedding=32,
    decoder_units=48,
    decoder_layers=1,
    event_embedding=16,
    first_input="fresh",
    residual=True,
)
train, held_out = data["train"], data["validation"]
settings = TrainingSettings(steps=20, learning_rate=3e-3, warmup_steps=5, evaluate_every=20)
model, state = train_melody_vae(config, train.events, train.sources, held_out.events, settings)
print(f"{model.latent_dim} dimensions after {state.step} steps")

# %% [markdown]
# From here on it is a model like the packaged one: it is saved, loaded, and generates under rules.

# %%
mc.save_model(model, "models/mine")
mine = mc.load_model("models/mine")
mc.generate(mine, 1, seed=1)[0]

# %% [markdown]
# It has learned next to nothing, and sounds like it. [The melody model](../melody-model.md) has what a good one takes, and
# `mc train-vae melodies/ -o models/ours --start-from staff --preset staff` starts from what the packaged one knows.
