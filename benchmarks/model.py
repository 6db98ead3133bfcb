"""What ``docs/melody-model.md`` claims of the melody model's speed: ratios in one run, as a table.

::

    python benchmarks/model.py [--model MODEL_DIR]

Training: a step against the arithmetic floor, which is the step's floating-point operations over
the rate of a large matrix product of the same type, measured in the same run. Decoding: against a
plain float32 loop of ``nn.LSTM`` steps with the same weights, and against its own floor.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from melodyconstraints.cli._common import print_table
from melodyconstraints.melody.events import START, VOCABULARY
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR
from melodyconstraints.melody.vae.config import PRESETS
from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.training import ElboSettings, MelodyObjective
from melodyconstraints.vae.precision import products, products_dtype
from melodyconstraints.workflows.models import load_model

CPU = torch.device("cpu")
TRAINED, DECODED = (8, 64), (1, 16, 64, 256, 1024)
MOST_PLAIN = 256
REPEATS = 7


@click.command()
@click.option("--model", "folder", type=click.Path(path_type=Path), help="Default: the bundled.")
def main(folder: Path | None) -> None:
    """Measure the speed of training and decoding of a melody model."""
    torch.manual_seed(0)
    click.echo(f"{torch.get_num_threads()} threads, {fastest_dtype()}")
    columns = ["melodies", "a training step, ms", "GFLOP", "floor, ms", "over the floor"]
    print_table(columns, map(training, TRAINED))
    model = load_model(folder or "bundled")
    columns = ["melodies", "decoding, ms", "over the floor", "plain loop, ms", "over ours"]
    print_table(columns, [decoding(model, size) for size in DECODED], "decoding")
    click.echo(f"one melody from the command line: {best(one_melody, 3):.2f} s")


def best(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of the fastest of several runs, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def fastest_dtype() -> torch.dtype:
    """That of the products."""
    with products("auto", CPU):
        return products_dtype(CPU)


def rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product."""
    size = 2048
    left, right = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    return 2 * size**3 / best(lambda: left @ right)


def training(size: int) -> list[str]:
    """Time of a step on ``size`` melodies, optimiser included, over its floor."""
    model = HierarchicalVAE(PRESETS["small"])
    objective = MelodyObjective(model, ElboSettings(), np.zeros((0, STEPS), np.uint8))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    events = torch.randint(0, VOCABULARY, (size, STEPS))
    noise = torch.randn(size, model.latent_dim)

    def learn() -> None:
        with products("auto", CPU):
            losses = objective(events, 0.5, noise)
        optimizer.zero_grad()
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    operations = counted(learn) + 3 * uncounted(model, size)
    floor, taken = operations / rate(fastest_dtype()), best(learn, 15)
    numbers = (taken * 1e3, operations / 1e9, floor * 1e3)
    return [str(size), *(f"{one:.1f}" for one in numbers), f"{taken / floor:.2f}"]


def counted(work: Callable[[], object]) -> int:
    """Operations of all products that PyTorch's counter sees."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def uncounted(model: HierarchicalVAE, size: int) -> int:
    """Operations, forward, of the LSTM over bar codes, which the counter does not see."""
    layer: nn.LSTM = model.encoder.lstm
    gates = 4 * layer.hidden_size * (layer.input_size + layer.hidden_size)
    return 2 * 2 * gates * size * BARS


@torch.no_grad()
def decoding(model: HierarchicalVAE, size: int) -> list[str]:
    """Time of drawing ``size`` melodies at temperature 0.5, beside a plain loop and the floor."""
    units, layers = model.config.decoder_units, model.config.decoder_layers
    step = 4 * units * units + (layers - 1) * 8 * units * units + units * VOCABULARY
    z = torch.randn(size, model.latent_dim)
    ours = best(lambda: model.decode(z, Sampling(temperature=0.5)))
    floor = 2 * step * STEPS * size / rate(fastest_dtype())
    row = [f"{size:,}", f"{ours * 1e3:.1f}", f"{ours / floor:.2f}"]
    if size <= MOST_PLAIN:
        plain = best(lambda: plain_loop(model, z), 3)
        row += [f"{plain * 1e3:.1f}", f"{plain / ours:.1f}"]
    return row


def plain_loop(model: HierarchicalVAE, z: Tensor) -> Tensor:
    """Melodies in float32, one ``nn.LSTM`` step an event, inputs as one-hot products."""
    decoder, embeddings, drawn = model.decoder, model.conductor(z), []
    vectors = decoder.events(torch.arange(VOCABULARY + 1))
    event = torch.full((len(z),), START)
    for bar in range(BARS):
        state = decoder.start(embeddings[:, bar])
        if not decoder.carry:
            event = torch.full((len(z),), START)
        for _ in range(STEPS_PER_BAR):
            vector = F.one_hot(event, VOCABULARY + 1).float() @ vectors
            inputs = torch.cat([vector, embeddings[:, bar]], -1)
            output, state = decoder.lstm(inputs[:, None], state)
            shares = torch.softmax(decoder.output(output[:, 0]) / 0.5, -1)
            event = torch.multinomial(shares, 1)[:, 0]
            drawn.append(event)
    return torch.stack(drawn, 1)


def one_melody() -> None:
    """``mc generate -n 1``, process start included."""
    program = Path(sys.executable).with_name("mc")
    with tempfile.TemporaryDirectory() as folder:
        command = [str(program), "generate", "-n", "1", "-o", f"{folder}/out"]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603


if __name__ == "__main__":
    main()
