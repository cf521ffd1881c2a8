"""einops on tensors against einops on NumPy arrays; its layers against those for PyTorch."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grad

einops = pytest.importorskip("einops")
layers = pytest.importorskip("grad.interop.einops")

IMAGES = np.random.default_rng(3).normal(size=(2, 3, 4, 6)).astype(np.float32)

REARRANGED = [
    ("b c h w -> b h w c", {}),
    ("b c h w -> (b h) (c w)", {}),
    ("b c (h p) (w q) -> (b h w) (p q c)", {"p": 2, "q": 3}),
    ("b ... w -> w ... b", {}),
    ("b c h w -> b c 1 h w ()", {}),
]
REDUCED = [
    ("b c h w -> b c", "mean", {}),
    ("b c (h 2) (w 2) -> b c h w", "max", {}),
    ("b c h w -> c", "min", {}),
    ("b c h w -> b () h w", "sum", {}),
    ("b c h w ->", "prod", {}),
]
REPEATED = [("b c h w -> b c (h 2) (w r)", {"r": 3}), ("b c h w -> n b c h w", {"n": 2})]


@pytest.mark.parametrize(("pattern", "lengths"), REARRANGED)
def test_rearrange(pattern: str, lengths: dict[str, int]) -> None:
    found = einops.rearrange(grad.tensor(IMAGES), pattern, **lengths)
    assert isinstance(found, grad.Tensor)
    np.testing.assert_array_equal(found.numpy(), einops.rearrange(IMAGES, pattern, **lengths))


@pytest.mark.parametrize(("pattern", "kind", "lengths"), REDUCED)
def test_reduce(pattern: str, kind: str, lengths: dict[str, int]) -> None:
    found = einops.reduce(grad.tensor(IMAGES), pattern, kind, **lengths)
    np.testing.assert_allclose(
        found.numpy(), einops.reduce(IMAGES, pattern, kind, **lengths), 1e-5, 1e-6
    )


@pytest.mark.parametrize("kind", ["any", "all"])
def test_reduce_truth_values(kind: str) -> None:
    found = einops.reduce(grad.tensor(IMAGES > 0), "b c h w -> b h", kind)
    np.testing.assert_array_equal(found.numpy(), einops.reduce(IMAGES > 0, "b c h w -> b h", kind))


@pytest.mark.parametrize(("pattern", "lengths"), REPEATED)
def test_repeat(pattern: str, lengths: dict[str, int]) -> None:
    found = einops.repeat(grad.tensor(IMAGES), pattern, **lengths)
    np.testing.assert_array_equal(found.numpy(), einops.repeat(IMAGES, pattern, **lengths))


def test_einsum_pack_unpack_and_shapes() -> None:
    x = grad.tensor(IMAGES)
    found = einops.einsum(x, x, "batch a i j, batch b i j -> batch a b")
    np.testing.assert_allclose(found.numpy(), np.einsum("naij,nbij->nab", IMAGES, IMAGES), 1e-5)
    packed, shapes = einops.pack([x, x[:, 0]], "b * w")
    assert packed.shape == (2, 16, 6)
    whole, part = einops.unpack(packed, shapes, "b * w")
    assert (whole == x).all() and (part == x[:, 0]).all()
    assert einops.parse_shape(x, "b c _ w") == {"b": 2, "c": 3, "w": 6}
    assert einops.asnumpy(x).shape == IMAGES.shape
    stacked = einops.rearrange([x, x], "n b c h w -> (n b) c h w")
    assert stacked.shape == (4, 3, 4, 6)


def test_bad_patterns_raise() -> None:
    with pytest.raises(einops.EinopsError):
        einops.rearrange(grad.tensor(IMAGES), "b c h -> b c h")


def test_gradients() -> None:
    x = grad.tensor(IMAGES, requires_grad=True)
    einops.reduce(x * x, "b c (h 2) (w 2) -> b c h w", "mean").sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), IMAGES / 2, 1e-6)


def test_layers_in_a_model() -> None:
    model = grad.nn.Sequential(
        layers.Rearrange("b c (h p) w -> b (h w) (p c)", p=2),
        grad.nn.Linear(6, 5),
        layers.Reduce("b n d -> b d", "mean"),
        layers.EinMix("b d -> b e", weight_shape="d e", bias_shape="e", d=5, e=3),
    )
    out = model(grad.tensor(IMAGES))
    assert out.shape == (2, 3) and len(list(model.parameters())) == 4
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    again = pickle.loads(pickle.dumps(model[0]))
    assert (
        repr(again)
        == repr(copy.deepcopy(model[0]))
        == "Rearrange('b c (h p) w -> b (h w) (p c)', p=2)"
    )


def test_in_a_program_for_torch(tmp_path: Path) -> None:
    """Under ``python -m grad.as_torch`` einops takes this library for PyTorch."""
    script = tmp_path / "script.py"
    script.write_text(
        "import torch\n"
        "from einops import rearrange\n"
        "from einops.layers.torch import EinMix, Rearrange, Reduce\n"
        "x = torch.ones(2, 3, 4, requires_grad=True)\n"
        "print(rearrange(x, 'a b c -> (c b) a').shape)\n"
        "model = torch.nn.Sequential(Rearrange('a b c -> a (b c)'), torch.nn.Linear(12, 5),\n"
        "    EinMix('a b -> a c', weight_shape='b c', b=5, c=2), Reduce('a c -> a', 'max'))\n"
        "model(x).sum().backward()\n"
        "print(x.grad.shape, type(x).__module__)\n"
    )
    command = [sys.executable, "-m", "grad.as_torch", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "torch.Size([12, 2])",
        "torch.Size([2, 3, 4]) grad.tensor",
    ]


MIXES: list[tuple[str, str, str | None, dict[str, int]]] = [
    ("b c h w -> b d h w", "c d", "d", {"c": 3, "d": 5}),
    ("b c (h p) w -> b (d h) w", "c p d", None, {"c": 3, "p": 2, "d": 5}),
    ("b c h w -> b c h v", "c w v", "c v", {"c": 3, "w": 6, "v": 2}),
]


@pytest.mark.parametrize(("pattern", "weight_shape", "bias_shape", "lengths"), MIXES)
def test_mixes_are_those_for_torch(
    pattern: str, weight_shape: str, bias_shape: str | None, lengths: dict[str, Any]
) -> None:
    torch = pytest.importorskip("torch")
    of_torch = pytest.importorskip("einops.layers.torch")
    theirs = of_torch.EinMix(pattern, weight_shape, bias_shape, **lengths)
    ours = layers.EinMix(pattern, weight_shape, bias_shape, **lengths)
    bound = theirs.weight.detach().abs().max().item() * 1.5
    assert 0 < float(ours.weight.abs().max()) < bound
    with grad.no_grad():
        for name, parameter in ours.named_parameters():
            parameter.copy_(grad.tensor(theirs.get_parameter(name).detach().numpy()))
    expected = theirs(torch.tensor(IMAGES)).detach().numpy()
    np.testing.assert_allclose(ours(grad.tensor(IMAGES)).detach().numpy(), expected, 1e-4, 1e-5)
