"""Attention beside PyTorch's and beside its definition: shapes, masks, heads, special values."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.ops import attention_parts

torch = pytest.importorskip("torch")
attend = torch.nn.functional.scaled_dot_product_attention

Shape = tuple[int, ...]


def operands(seed: int, *shapes: Shape, dtype: Any = np.float32) -> list[Any]:
    random = np.random.default_rng(seed)
    return [random.normal(size=shape).astype(dtype) for shape in shapes]


def close(actual: Any, expected: Any, tolerance: float = 2e-5) -> None:
    assert tuple(actual.shape) == tuple(expected.shape)
    np.testing.assert_allclose(
        actual.detach().double().numpy(),
        expected.detach().double().numpy(),
        rtol=tolerance,
        atol=tolerance,
    )


def torch_attend(tensors: list[Any], mask: Any, is_causal: bool = False, **options: Any) -> Any:
    """PyTorch's attention, which not always takes a mask and `is_causal` together."""
    if mask is None or not is_causal:
        return attend(*tensors[:3], mask, is_causal=is_causal, **options)
    lower = torch.ones(tensors[0].shape[-2], tensors[1].shape[-2]).bool().tril()
    both = mask & lower if mask.dtype is torch.bool else mask.masked_fill(~lower, -np.inf)
    return attend(*tensors[:3], both, **options)


def compare(arrays: list[Any], mask: Any = None, tolerance: float = 2e-5, **options: Any) -> None:
    """Value and all gradients against PyTorch in float64."""
    ours = [grad.tensor(array).requires_grad_() for array in arrays]
    theirs = [torch.tensor(array).double().requires_grad_() for array in arrays]
    our_mask = their_mask = None
    if mask is not None:
        our_mask, their_mask = grad.tensor(mask), torch.tensor(mask)
        if mask.dtype != bool:
            our_mask, their_mask = our_mask.requires_grad_(), their_mask.double()
            theirs.append(their_mask.requires_grad_())
            ours.append(our_mask)
    actual = F.scaled_dot_product_attention(*ours[:3], our_mask, **options)
    expected = torch_attend(theirs, their_mask, **options)
    close(actual, expected, tolerance)
    (weights,) = operands(99, tuple(expected.shape))
    (actual * grad.tensor(weights)).sum().backward()
    (expected * torch.tensor(weights).double()).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        close(a.grad, b.grad, tolerance * 4)


LENGTHS = [(1, 1), (1, 17), (2, 5), (5, 3), (16, 16), (37, 53), (64, 70), (131, 67), (7, 200)]


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("rows", "columns"), LENGTHS)
def test_lengths(rows: int, columns: int, is_causal: bool) -> None:
    shapes = [(2, 3, rows, 8), (2, 3, columns, 8), (2, 3, columns, 8)]
    compare(operands(rows * 300 + columns, *shapes), is_causal=is_causal)


@pytest.mark.parametrize(("size", "value_size"), [(1, 1), (7, 13), (16, 3), (64, 80), (33, 64)])
def test_head_sizes(size: int, value_size: int) -> None:
    shapes = [(3, 21, size), (3, 34, size), (3, 34, value_size)]
    compare(operands(size, *shapes))
    compare(operands(size, *shapes), is_causal=True)


@pytest.mark.parametrize(
    "leads", [((), (), ()), ((2, 3), (3,), ()), ((1, 3), (2, 1), (2, 3)), ((2, 1, 3), (4, 1), (3,))]
)
def test_leading_axes_broadcast(leads: tuple[Shape, Shape, Shape]) -> None:
    arrays = operands(1, (*leads[0], 6, 4), (*leads[1], 7, 4), (*leads[2], 7, 5))
    compare(arrays)


MASKS = [(6, 7), (1, 7), (6, 1), (1, 1), (3, 6, 7), (2, 1, 6, 7), (2, 3, 1, 7), (2, 3, 6, 1)]


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("shape", MASKS)
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_masks(kind: str, shape: Shape, is_causal: bool) -> None:
    *arrays, mask = operands(2, (2, 3, 6, 4), (2, 3, 7, 4), (2, 3, 7, 4), shape)
    compare(arrays, mask > -0.5 if kind == "bool" else mask, is_causal=is_causal)


@pytest.mark.parametrize("lowest", [-np.inf, np.finfo(np.float32).min])
def test_rows_that_attend_to_nothing(lowest: float) -> None:
    """Zeros and no gradient behind -inf; the mean of all values behind the least number."""
    arrays = operands(3, (2, 5, 4), (2, 7, 4), (2, 7, 4))
    allowed = np.random.default_rng(0).random((5, 7)) < 0.6
    allowed[1] = False
    mask = np.where(allowed, 0, lowest).astype(np.float32)
    ours = [grad.tensor(array).requires_grad_() for array in arrays]
    theirs = [torch.tensor(array).requires_grad_() for array in arrays]
    for actual_mask in (mask, allowed) if lowest == -np.inf else (mask,):
        actual = F.scaled_dot_product_attention(*ours, grad.tensor(actual_mask))
        expected = attend(*theirs, torch.tensor(actual_mask))
        close(actual, expected)
        expected_row = 0 if lowest == -np.inf else arrays[2].mean(1)
        np.testing.assert_allclose(actual.detach().numpy()[:, 1], expected_row, atol=1e-6)
        found = grad.autograd.grad(actual.sum(), ours)
        for a, b in zip(found, torch.autograd.grad(expected.sum(), theirs), strict=True):
            close(a, b)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("operand", [0, 1, 2])
@pytest.mark.parametrize("rows", [1, 3, 9])
def test_special_values(rows: int, operand: int, value: float) -> None:
    """A special value reaches the rows that PyTorch's definition has it reach, as it does there."""
    arrays = operands(4, (2, rows, 4), (2, 11, 4), (2, 11, 4))
    arrays[operand][0, rows // 2, 1] = value
    actual = F.scaled_dot_product_attention(*[grad.tensor(a) for a in arrays]).numpy()
    expected = attend(*[torch.tensor(a).double() for a in arrays]).float().numpy()
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_weights(dtype: type) -> None:
    """Powers down to the least normal number count; what is masked weighs exactly nothing."""
    least = np.log(float(np.finfo(dtype).tiny))
    scores = (least * np.array([0, 0.5, 0.9, 0.999, 1.2, 10])).astype(dtype)
    values = np.exp(-np.array([0, 0.5, 0.9, 0.999, 0, 0]) * least).astype(dtype)[:, None]
    one = grad.tensor(np.ones((1, 1), dtype))
    for wanted, masked in ((4, ~np.isnan(scores)), (1, scores == 0)):
        mask = grad.tensor(masked)
        tensors = (one, grad.tensor(scores[:, None]), grad.tensor(values))
        actual = F.scaled_dot_product_attention(*tensors, mask, scale=1.0)
        np.testing.assert_allclose(actual.item(), wanted, rtol=1e-3)
    huge = np.full((2, 40, 3), np.finfo(dtype).max, dtype)
    huge[:, 0] = 1
    rows = grad.zeros(2, 40, 3, dtype=actual.dtype)
    first = F.scaled_dot_product_attention(rows, rows, grad.tensor(huge), is_causal=True)[:, 0]
    assert (first == 1).all().item()


@pytest.mark.parametrize(
    "shapes",
    [
        ((0, 4), (5, 4), (5, 4)),
        ((3, 4), (0, 4), (0, 4)),
        ((0, 4), (0, 4), (0, 4)),
        ((3, 0), (5, 0), (5, 4)),
        ((3, 4), (5, 4), (5, 0)),
        ((0, 3, 4), (0, 5, 4), (0, 5, 4)),
    ],
)
def test_empty(shapes: tuple[Shape, ...]) -> None:
    for is_causal in (False, True):
        compare(operands(5, *shapes), is_causal=is_causal)


@pytest.mark.parametrize(
    ("heads", "groups"), [((4, 2), (4, 2)), ((6, 3), (6, 1)), ((4, 4), (4, 2))]
)
def test_grouped_heads(heads: Shape, groups: Shape) -> None:
    for rows in (1, 5):
        shapes = [(2, heads[0], rows, 4), (2, heads[1], 6, 4), (2, groups[1], 6, 4)]
        compare(operands(6, *shapes), enable_gqa=True)
        mask = np.random.default_rng(1).random((2, heads[0], rows, 6)) < 0.7
        compare(operands(6, *shapes), mask, enable_gqa=True)
        for mask_shape in ((rows, 6), (1, 1, 1, 6), (heads[0], 1, 1)):
            (mask,) = operands(7, mask_shape)
            for is_causal in (False, True):
                compare(operands(6, *shapes), mask, enable_gqa=True, is_causal=is_causal)


@pytest.mark.parametrize("lengths", [(0, 5), (1, 1), (1, 5), (3, 0), (37, 53), (130, 67)])
def test_grouped_heads_of_any_length(lengths: tuple[int, int]) -> None:
    rows, columns = lengths
    shapes = [(6, rows, 7), (2, columns, 7), (2, columns, 5)]
    for is_causal in (False, True):
        compare(operands(8, *shapes), enable_gqa=True, is_causal=is_causal)
    if rows and columns:  # PyTorch does not broadcast leading axes of nothing
        compare(operands(8, (3, *shapes[0]), *shapes[1:]), enable_gqa=True)
        compare(operands(8, shapes[0], (3, *shapes[1]), (1, *shapes[2])), enable_gqa=True)


def test_grouped_heads_of_special_values() -> None:
    """They reach the heads of their own group, and in these what they reach without groups."""
    arrays = operands(4, (2, 6, 9, 4), (2, 3, 11, 4), (2, 3, 11, 4))
    arrays[1][0, 1, 4, 1], arrays[2][1, 2, 3, 0] = np.nan, np.inf
    actual = F.scaled_dot_product_attention(*[grad.tensor(a) for a in arrays], enable_gqa=True)
    expected = attend(*[torch.tensor(a).double() for a in arrays], enable_gqa=True)
    close(actual, expected)
    assert np.isnan(actual.numpy()[0, 2:4]).all() and np.isfinite(actual.numpy()[0, 4:]).all()


def test_gradients_of_gradients_of_grouped_heads() -> None:
    arrays = operands(11, (4, 3, 3), (2, 4, 3), (2, 4, 2), dtype=np.float64)
    tensors = [grad.tensor(array).requires_grad_() for array in arrays]
    assert grad.autograd.gradgradcheck(
        lambda *x: F.scaled_dot_product_attention(*x, enable_gqa=True), tensors
    )


@pytest.mark.parametrize("columns", [14, 61, 113])
@pytest.mark.parametrize("rows", [1, 5])
def test_parts_of_keys(monkeypatch: pytest.MonkeyPatch, rows: int, columns: int) -> None:
    """Few heads with many keys, which are cut in parts of at least 7 here."""
    monkeypatch.setattr(attention_parts, "LEAST_KEYS", 7)
    monkeypatch.setattr(attention_parts, "LEAST_ELEMENTS", 0)
    shapes = [(2, 2, rows, 4), (2, 1, columns, 4), (columns, 5)]
    *arrays, mask = operands(6, *shapes, (2, 1, rows, columns))
    compare(arrays)
    compare(arrays, mask > -0.5)
    mask[..., :9] = -np.inf  # the first part attends to nothing
    mask[1] = -np.inf
    ours = [grad.tensor(array).requires_grad_() for array in arrays]
    theirs = [torch.tensor(array).double().requires_grad_() for array in arrays]
    actual = F.scaled_dot_product_attention(*ours, grad.tensor(mask))
    expected = attend(*theirs, torch.tensor(mask).double())
    close(actual, expected)
    found = grad.autograd.grad(actual.sum(), ours)
    for a, b in zip(found, torch.autograd.grad(expected.sum(), theirs), strict=True):
        close(a, b)
    compare(operands(7, (3, rows, 4), (1, columns, 4), (1, columns, 5)), enable_gqa=True)
    for value, operand in itertools.product((np.nan, np.inf, -np.inf), range(3)):
        special = [array.copy() for array in arrays]
        special[operand][..., -1, 1] = value
        expected = attend(*[torch.tensor(a).double() for a in special]).float().numpy()
        actual = F.scaled_dot_product_attention(*[grad.tensor(a) for a in special]).numpy()
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("scale", [0.0, 1.0, -0.5, 3.0])
def test_scale(scale: float) -> None:
    compare(operands(7, (2, 20, 4), (2, 21, 4), (2, 21, 4)), scale=scale)


def laid_out(array: Any, layout: str) -> Any:
    """The tensor of `array` (batch, heads, length, size) in another order in memory."""
    if layout == "heads inside":
        return grad.tensor(np.ascontiguousarray(array.transpose(0, 2, 1, 3))).transpose(1, 2)
    if layout == "transposed":
        return grad.tensor(np.ascontiguousarray(array.swapaxes(2, 3))).transpose(2, 3)
    if layout == "reversed":
        return grad.tensor(np.ascontiguousarray(array[:, :, ::-1])).flip(2)
    if layout == "every other":
        return grad.tensor(np.repeat(array, 2, axis=3))[..., ::2]
    return grad.tensor(array)


@pytest.mark.parametrize("layout", ["heads inside", "transposed", "reversed", "every other"])
def test_layouts(layout: str) -> None:
    arrays = operands(8, (2, 3, 18, 8), (2, 3, 19, 8), (2, 3, 19, 8))
    expected = attend(*[torch.tensor(a) for a in arrays], is_causal=True)
    for chosen in itertools.product([layout, "plain"], repeat=3):
        tensors = [laid_out(a, kind) for a, kind in zip(arrays, chosen, strict=True)]
        close(F.scaled_dot_product_attention(*tensors, is_causal=True), expected)


def test_slices_of_one_projection() -> None:
    """Query, key and value cut out of one product, as networks do it."""
    (array,) = operands(9, (2, 17, 3 * 4 * 8))
    ours = grad.tensor(array).requires_grad_()
    theirs = torch.tensor(array).requires_grad_()
    cut = [part.reshape(2, 17, 4, 8).transpose(1, 2) for part in ours.split(32, -1)]
    expected_cut = [part.reshape(2, 17, 4, 8).transpose(1, 2) for part in theirs.split(32, -1)]
    actual = F.scaled_dot_product_attention(*cut, is_causal=True).transpose(1, 2).reshape(2, 17, 32)
    expected = attend(*expected_cut, is_causal=True).transpose(1, 2).reshape(2, 17, 32)
    close(actual, expected)
    (actual * actual).sum().backward()
    (expected * expected).sum().backward()
    close(ours.grad, theirs.grad)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_types(dtype: str) -> None:
    arrays = operands(10, (2, 17, 8), (2, 19, 8), (2, 19, 8))
    ours = [grad.tensor(a).to(getattr(grad, dtype)).requires_grad_() for a in arrays]
    theirs = [torch.tensor(a).to(getattr(torch, dtype)).double().requires_grad_() for a in arrays]
    mask = np.random.default_rng(0).normal(size=(17, 19)).astype(np.float32)
    for given in (None, mask) if dtype != "float64" else (None,):
        actual = F.scaled_dot_product_attention(
            *ours, None if given is None else grad.tensor(given)
        )
        expected = attend(*theirs, None if given is None else torch.tensor(given).double())
        assert actual.dtype is getattr(grad, dtype)
        tolerance = {"float16": 4e-3, "bfloat16": 3e-2, "float64": 1e-12}[dtype]
        close(actual, expected, tolerance)
        found = grad.autograd.grad(actual.float().sum(), ours)
        for a, b in zip(found, torch.autograd.grad(expected.sum(), theirs), strict=True):
            close(a, b, tolerance * 4)


def test_gradients_of_gradients() -> None:
    arrays = operands(11, (2, 4, 3), (2, 5, 3), (2, 5, 2), dtype=np.float64)
    tensors = [grad.tensor(array).requires_grad_() for array in arrays]
    assert grad.autograd.gradgradcheck(
        lambda *x: F.scaled_dot_product_attention(*x, is_causal=True), tensors
    )


def test_second_gradient_in_float32() -> None:
    arrays = operands(12, (2, 20, 8), (2, 21, 8), (2, 21, 8))
    results = []
    for library, call in ((grad, F.scaled_dot_product_attention), (torch, attend)):
        tensors = [library.tensor(array).double().float().requires_grad_() for array in arrays]
        if library is torch:
            tensors = [library.tensor(array).double().requires_grad_() for array in arrays]
        first = library.autograd.grad((call(*tensors) ** 2).sum(), tensors, create_graph=True)
        total = sum((g * g).sum() for g in first)
        results.append(library.autograd.grad(total, tensors))
    for a, b in zip(*results, strict=True):
        close(a, b, 2e-4)


def test_dropout() -> None:
    """Weights are dropped and the others scaled; the seed decides which; gradients see the same."""
    eye = grad.tensor(np.eye(64, dtype=np.float32)).requires_grad_()
    zeros = grad.zeros(2, 50, 8)
    for p in (0.25, 0.5):
        grad.manual_seed(1)
        first = F.scaled_dot_product_attention(zeros, grad.zeros(2, 64, 8), eye, dropout_p=p)
        weights = first.detach().numpy() * 64
        assert set(np.unique(weights.round(4))) == {0.0, np.float32(round(1 / (1 - p), 4))}
        assert abs((weights == 0).mean() - p) < 0.03
        (slope,) = grad.autograd.grad(first.sum(), eye)
        np.testing.assert_allclose(
            slope.numpy(), np.repeat(weights.sum((0, 1))[:, None] / 64, 64, 1), rtol=1e-5
        )
        grad.manual_seed(1)
        again = F.scaled_dot_product_attention(zeros, grad.zeros(2, 64, 8), eye, dropout_p=p)
        assert again.tolist() == first.tolist()
    gone = F.scaled_dot_product_attention(zeros, grad.zeros(2, 64, 8), eye, dropout_p=1.0)
    assert not gone.detach().numpy().any()
    other = F.scaled_dot_product_attention(zeros, grad.zeros(2, 64, 8), eye, dropout_p=0.5)
    assert first.tolist() != other.tolist()


@pytest.mark.parametrize("group", [1, 2])
def test_dropout_has_one_mask_whoever_computes(group: int) -> None:
    """The kernels forward and backward and the definition drop the same weights."""
    shapes = [(4, 20, 8), (4 // group, 30, 8), (4 // group, 30, 8), (20, 30)]
    tensors = [grad.tensor(array).requires_grad_() for array in operands(13, *shapes)]
    (slope,) = operands(14, (4, 20, 8))

    def gradients(*wanted: Any, **options: Any) -> list[Any]:
        grad.manual_seed(3)
        result = F.scaled_dot_product_attention(*tensors, 0.4, enable_gqa=group > 1)
        found = grad.autograd.grad(result, wanted, grad.tensor(slope), **options)
        return [result.detach(), *(g.detach() for g in found)]

    kernel = gradients(*tensors[:3])
    for other in (gradients(*tensors), gradients(*tensors[:3], create_graph=True)):
        for a, b in zip(kernel, other, strict=False):
            close(a, b)


def test_dropout_in_replays() -> None:
    """A compiled function draws what the plain one draws, anew in each call."""
    tensors = [grad.tensor(a).requires_grad_() for a in operands(16, *[(2, 9, 4)] * 3)]

    def step(*operands: Any) -> Any:
        result = F.scaled_dot_product_attention(*operands, dropout_p=0.3, is_causal=True)
        return (result.detach(), *grad.autograd.grad(result.sum(), operands))

    def value(*operands: Any) -> Any:
        return F.scaled_dot_product_attention(*operands, dropout_p=0.3)

    compiled_step, compiled_value = grad.compile(step), grad.compile(value)
    found = []
    for plain in (True, False):
        grad.manual_seed(8)
        found.append([])
        for _ in range(5):
            found[-1].extend((step if plain else compiled_step)(*tensors))
            result = (value if plain else compiled_value)(*tensors)
            found[-1].extend((result, *grad.autograd.grad(result.sum(), tensors)))
    for a, b in zip(*found, strict=True):
        close(a, b)
    values = [x.tolist() for x in found[1][::8]]
    assert all(a != b for a, b in itertools.combinations(values, 2))


def test_refusals() -> None:
    q, k = grad.zeros(3, 4), grad.zeros(5, 4)
    with pytest.raises(RuntimeError, match="one dtype"):
        F.scaled_dot_product_attention(q, k.double(), k)
    with pytest.raises(RuntimeError, match="floating"):
        F.scaled_dot_product_attention(q.long(), k.long(), k.long())
    with pytest.raises(RuntimeError, match="attn_mask is int32"):
        F.scaled_dot_product_attention(q, k, k, grad.zeros(3, 5).int())
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        F.scaled_dot_product_attention(q, k, k, dropout_p=1.5)
    with pytest.raises(RuntimeError, match="broadcast"):
        F.scaled_dot_product_attention(q, k, k, grad.zeros(2, 3, 5))
