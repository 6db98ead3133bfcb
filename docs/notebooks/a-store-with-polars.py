# %% [markdown]
# # Reading a store with Polars
#
# `mc extract-melodies` writes a folder of Parquet files, which any Arrow tool reads. Here is a small one, made of melodies
# of the packaged model instead of your own MIDI:

# %%
from pathlib import Path
from subprocess import check_output

import polars as pl

import melodyconstraints as mc

Path("midi").mkdir()
for number, melody in enumerate(mc.generate(mc.load_model(), 12, seed=1)):
    mc.write_melody(melody, f"midi/{number:02}.mid", tempo=90 + number)
print(check_output(["mc", "extract-melodies", "midi/", "-o", "melodies/"], text=True))

# %%
table = pl.read_parquet("melodies/*.parquet")
table.select("split", "file", "start_bar", "program", "tempo", "notes").head(4)

# %% [markdown]
# A row is a melody. Count by split, or find the densest ones:

# %%
table.group_by("split").agg(pl.len(), pl.col("notes").mean().round(1)).sort("split")

# %%
table.sort("notes", descending=True).select("file", "notes", "tempo").head(3)

# %% [markdown]
# `events` has 256 bytes a melody: 0 to 127 is a pitch that starts, 128 holds, 129 rests. `Melodies` takes them as an array:

# %%
import numpy as np

few = table.filter(pl.col("notes") <= 60)
events = np.frombuffer(b"".join(few["events"]), np.uint8).reshape(-1, 256)
rewards = mc.find_rule("steps:40%")(mc.Melodies(events))
few.select("file", "notes").with_columns(steps=pl.Series(rewards).round(2))

# %% [markdown]
# Large stores do not fit in memory: `pl.scan_parquet("melodies/*.parquet")` reads only what a query needs, and
# `mc.read_table("melodies", "train")` gives one split as an Arrow table. [All columns](../extraction.md).
