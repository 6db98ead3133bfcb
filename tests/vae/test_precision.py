"""Which type matrix products have, and where."""

import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.vae import precision
from melodyconstraints.vae.precision import has_bfloat16, products, products_dtype

CPU = torch.device("cpu")


def product() -> torch.dtype:
    return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.fixture
def able(monkeypatch):
    """Gives the processor these capabilities and no others."""

    def give(**capabilities: bool) -> None:
        monkeypatch.setattr(
            precision.torch.cpu, "get_capabilities", lambda: capabilities, raising=False
        )

    return give


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, False),
        ({"neon": True}, False),
    ],
    ids=str,
)
def test_a_processor_has_bfloat16_if_it_multiplies_it(able, capabilities, expected):
    able(**capabilities)
    assert has_bfloat16(CPU) is expected
    with products("auto", CPU):
        assert product() == (torch.bfloat16 if expected else torch.float32)


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_only_emulates_bfloat16_does_not_have_it(monkeypatch, native):
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert has_bfloat16(torch.device("cuda")) is native


def test_where_torch_does_not_tell_there_is_none(monkeypatch):
    monkeypatch.delattr(precision.torch.cpu, "get_capabilities", raising=False)
    assert not has_bfloat16(CPU)


def test_other_devices_do_not_have_bfloat16(able):
    able(avx512_bf16=True)
    assert not has_bfloat16(torch.device("meta"))


@pytest.mark.parametrize("supported", [True, False])
@pytest.mark.parametrize("name", ["bfloat16", "float32"])
def test_a_precision_that_is_named_is_used_whatever_the_processor(able, supported, name):
    able(avx512_bf16=supported)
    expected = getattr(torch, name)
    with products(name, CPU):
        assert product() == products_dtype(CPU) == expected
    assert product() == products_dtype(CPU) == torch.float32


def test_a_precision_that_does_not_exist_is_refused():
    message = "precision must be one of auto, bfloat16, float32, got 'float8'"
    with pytest.raises(UsageError, match=message):
        products("float8", CPU)


def test_full_precision_holds_within_half_precision():
    with products("bfloat16", CPU):
        with products("float32", CPU):
            assert product() == products_dtype(CPU) == torch.float32
        assert product() == products_dtype(CPU) == torch.bfloat16


def test_the_type_of_products_is_the_one_that_autocast_was_given():
    with torch.autocast("cpu", torch.float16):
        assert products_dtype(CPU) == torch.float16
    with torch.autocast("cpu", torch.float16, enabled=False):
        assert products_dtype(CPU) == torch.float32


@pytest.mark.parametrize("weights_change", [False, True])
def test_a_weight_that_changes_within_a_context_is_seen_if_that_is_said(weights_change):
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    with products("bfloat16", CPU, weights_change=weights_change):
        layer(torch.ones(1, 1))
        with torch.no_grad():
            layer.weight.fill_(2.0)
        seen = float(layer(torch.ones(1, 1)).detach())
    assert seen == (2.0 if weights_change else 1.0)
