"""Ordinary PyTorch code, run by both: ``import grad as torch`` is the yardstick.

Each snippet is run once with PyTorch and once with this library under the name `torch`,
    and must leave the
same `out` (a tensor, a number,
    a list of these). The snippets are what people write: training loops, masks,
views written through, custom functions, hooks, state dicts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
import grad.nn
import grad.nn.functional
import grad.optim

torch = pytest.importorskip("torch")

SNIPPETS: dict[str, str] = {
    "polynomial fit": """
x = torch.linspace(-3.14, 3.14, 200)
y = torch.sin(x)
p = torch.tensor([1.0, 2.0, 3.0])
features = x.unsqueeze(-1).pow(p)
weights = torch.tensor(array((3,)), requires_grad=True)
for t in range(20):
    loss = (features @ weights - y).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        weights -= 1e-4 * weights.grad
        weights.grad = None
out = [loss, weights]
""",
    "manual network": """
x, y = torch.tensor(array((8, 5))), torch.tensor(array((8, 2)))
w1 = torch.tensor(array((5, 7)), requires_grad=True)
w2 = torch.tensor(array((7, 2)), requires_grad=True)
h = x.mm(w1).clamp(min=0)
loss = (h.mm(w2) - y).pow(2).sum()
loss.backward()
out = [loss, w1.grad, w2.grad]
""",
    "module and optimiser": """
import_nn = torch.nn
class Net(import_nn.Module):
    def __init__(self):
        super().__init__()
        self.a = import_nn.Linear(6, 9)
        self.b = import_nn.Linear(9, 3)
    def forward(self, x):
        return self.b(torch.relu(self.a(x)))
net = Net()
with torch.no_grad():
    for p in net.parameters():
        p.copy_(torch.tensor(array(tuple(p.shape))) * 0.3)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
x, y = torch.tensor(array((16, 6))), torch.tensor(integers(0, 3, (16,)))
losses = []
for _ in range(6):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
out = [losses, [p for p in net.parameters()], sorted(net.state_dict())]
""",
    "attention by hand": """
q, k, v = (torch.tensor(array((2, 3, 5, 4)), requires_grad=True) for _ in range(3))
scores = q @ k.transpose(-2, -1) / 4 ** 0.5
mask = torch.ones(5, 5).tril() == 0
scores = scores.masked_fill(mask, float("-inf"))
result = scores.softmax(dim=-1) @ v
result.square().sum().backward()
out = [result, q.grad, k.grad, v.grad]
""",
    "batch norm by hand": """
x = torch.tensor(array((10, 4)), requires_grad=True)
mean, var = x.mean(0, keepdim=True), x.var(0, keepdim=True, unbiased=False)
y = (x - mean) / torch.sqrt(var + 1e-5)
y[:, 0].exp().sum().backward()
out = [y, x.grad]
""",
    "writes through views": """
x = torch.zeros(4, 5)
row = x[1]
row += 3
x[:, 2] = torch.tensor(array((4,)))
x.T[0] = 7
column = x.view(-1)[::5]
x[x > 2] = -1
x[torch.tensor([0, 2]), torch.tensor([1, 3])] += 10
out = [x, row, column, x.t()]
""",
    "gradients through in-place": """
a = torch.tensor(array((4, 3)), requires_grad=True)
b = a * 2
b[1] = b[0] * 3
b.mul_(a.detach())
b[:, 1:].add_(a[:, :2])
b.sum().backward()
out = [b, a.grad]
""",
    "embedding by indexing": """
table = torch.tensor(array((10, 4)), requires_grad=True)
index = torch.tensor([[1, 2, 2], [0, 9, 1]])
picked = table[index]
(picked ** 2).sum().backward()
out = [picked, table.grad, picked.shape]
""",
    "double backward": """
x = torch.tensor(array((5,)), requires_grad=True)
y = (x.sin() * x.exp()).sum()
(g,) = torch.autograd.grad(y, x, create_graph=True)
penalty = (g ** 2).sum()
penalty.backward()
out = [g, x.grad]
""",
    "custom function": """
class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return factor * x ** 3
    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 3 * ctx.factor * x ** 2, None
x = torch.tensor(array((3, 2)), requires_grad=True)
Cube.apply(x, 2.0).sum().backward()
out = x.grad
""",
    "hooks and retain_grad": """
seen = []
x = torch.tensor(array((3,)), requires_grad=True)
y = x * 2
y.retain_grad()
handle = y.register_hook(lambda g: seen.append(g.clone()) or g * 10)
(y ** 2).sum().backward()
handle.remove()
out = [x.grad, y.grad, seen]
""",
    "broadcast and reduce": """
x = torch.tensor(array((3, 1, 4)), requires_grad=True)
y = torch.tensor(array((5, 1)), requires_grad=True)
z = (x * y - x / (y.abs() + 1)).amax(dim=(0, 2))
z.prod().backward()
out = [z, x.grad, y.grad]
""",
    "statistics": """
x = torch.tensor(array((6, 7)))
values, indices = x.max(dim=1)
out = [x.std(), x.var(0), x.mean((0, 1)), values, indices, x.argmin(), x.cumsum(1),
    x.logsumexp(0), x.median if False else 0]
""",
    "shapes": """
x = torch.arange(24).reshape(2, 3, 4)
a, b = x.chunk(2, dim=2)
parts = x.split([1, 2], dim=1)
out = [a, b, *parts, torch.stack([a, b]), torch.cat([a, b], -1), x.flatten(1), x.unflatten(2, (2,
    2)), x.permute(2, 0, 1),
       x.squeeze(), x[..., None].shape, x.expand(5, 2, 3, 4).shape, x.flip(0), x.repeat(1, 2, 1),
    list(x.stride())]
""",
    "types": """
x = torch.tensor([1, 2, 3])
out = [x / 2, x // 2, x % 2, x * 1.5, x > 1, (x > 1).sum(), x.float().mean(), -x, x ** 2, 2 ** x,
    ~(x > 2), x & 1, x.to(torch.float64).sqrt(),
       torch.tensor([1.5, -2.5]).round(), torch.tensor([300.0]).to(torch.int32),
    torch.tensor(True) + 1, torch.tensor([250], dtype=torch.uint8) + 10]
""",
    "nan and infinity": """
x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
out = [x.relu(), x.clamp(-1, 1), torch.maximum(x, torch.zeros(5)), x.max(), x.sum(),
    torch.where(torch.isnan(x), torch.zeros(5), x), x.sign(),
       torch.isinf(x), x.exp(), x[3:].log(), 1 / x, x.sigmoid(), x.tanh(), x == x, x.argmax()]
""",
    "empty": """
x = torch.zeros(0, 3)
out = [x.sum(), x.sum(0), x.sum(1), x @ torch.ones(3, 2), torch.cat([x, torch.ones(1, 3)]),
    x.mean(), x.prod(), x.reshape(3, 0), x[:, 1], x.T.shape, x.softmax(1)]
""",
    "gather and scatter": """
x = torch.tensor(array((4, 5)), requires_grad=True)
index = torch.tensor([[0, 1, 2, 0, 3], [3, 3, 1, 0, 0]])
y = x.gather(0, index)
z = torch.zeros(4, 5).scatter_add(0, index, y * 2)
z.square().sum().backward()
out = [y, z, x.grad, torch.nn.functional.one_hot(index, 4), x.index_select(1, torch.tensor([4,
    0])), torch.take_along_dim(x, index, 0)]
""",
    "dropout off and on": """
x = torch.ones(1000)
drop = torch.nn.Dropout(0.25)
drop.eval()
same = drop(x)
drop.train()
kept = drop(x)
out = [same, bool(((kept == 0) | (kept == 1 / 0.75)).all()),
    bool(150 < int((kept == 0).sum()) < 350)]
""",
    "state dict": """
a, b = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
b.load_state_dict(a.state_dict())
x = torch.tensor(array((4, 3)))
out = [bool((a(x) == b(x)).all()), list(a.state_dict())]
""",
    "schedules": """
p = torch.nn.Parameter(torch.tensor(array((3,))))
optimizer = torch.optim.SGD([p], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
for _ in range(5):
    optimizer.zero_grad()
    (p ** 2).sum().backward()
    optimizer.step()
    scheduler.step()
out = [p, optimizer.param_groups[0]["lr"]]
""",
    "recurrent loop": """
w, u = torch.tensor(array((4, 4)) * 0.3, requires_grad=True), torch.tensor(array((3, 4)),
    requires_grad=True)
x, h = torch.tensor(array((6, 2, 3))), torch.zeros(2, 4)
for t in range(6):
    h = torch.tanh(h @ w + x[t] @ u)
h.sum().backward()
out = [h, w.grad, u.grad]
""",
    "losses": """
F = torch.nn.functional
x, y = torch.tensor(array((5, 3)), requires_grad=True), torch.tensor(array((5, 3)))
target = torch.tensor([0, 2, 1, 1, 0])
total = F.mse_loss(x, y) + F.l1_loss(x, y) + F.cross_entropy(x, target,
    label_smoothing=0.1) + F.nll_loss(F.log_softmax(x, 1), target)
total = total + F.binary_cross_entropy_with_logits(x,
    y.sigmoid()) + F.binary_cross_entropy(x.sigmoid(), y.sigmoid()) + F.smooth_l1_loss(x, y)
total.backward()
out = [total, x.grad]
""",
    "activations": """
F = torch.nn.functional
x = torch.tensor(array((50,)) * 3, requires_grad=True)
results = [F.relu(x), F.gelu(x), F.gelu(x, approximate="tanh"), F.silu(x), F.softplus(x),
    F.leaky_relu(x), F.elu(x), F.sigmoid(x), F.tanh(x)]
sum((r * (i + 1)).sum() for i, r in enumerate(results)).backward()
out = [*results, x.grad]
""",
    "normalisation": """
F = torch.nn.functional
x = torch.tensor(array((4, 6)), requires_grad=True)
w, b = torch.tensor(array((6,)), requires_grad=True), torch.tensor(array((6,)),
    requires_grad=True)
y = F.layer_norm(x, (6,), w, b)
(y * torch.tensor(array((4, 6)))).sum().backward()
out = [y, x.grad, w.grad, b.grad]
""",
    "boolean selection": """
x = torch.tensor(array((5, 4)), requires_grad=True)
picked = x[x > 0]
picked.square().sum().backward()
out = [picked, x.grad, x[torch.tensor([True, False, True, False, True])],
    torch.nonzero(x > 0.5) if hasattr(torch, "nonzero") else 0]
""",
    "old idioms": """
x = torch.Tensor([[1, 2], [3, 4]])
y = torch.ones_like(x)
x.requires_grad_()
z = (x * y).sum() / x.numel()
z.backward()
out = [x.grad.data if hasattr(x.grad, "data") else x.grad, z.item(), x.size(), x.dim(),
    x.size(0), len(x), x.detach().tolist(), float(z), x.dtype == torch.float32]
""",
    "zero rows normalised": """
x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
y = torch.nn.functional.normalize(x, dim=1)
y.sum().backward()
z = torch.zeros(3, requires_grad=True)
z.norm(3).backward()
out = [y, x.grad, z.grad]
""",
    "gradients at the ends": """
x = torch.tensor([0.0, 6.0, -1.0, 1.0, 3.0, -3.0, 2.0], requires_grad=True)
F = torch.nn.functional
(F.relu6(x) + F.hardtanh(x) * 2 + F.hardswish(x) * 3 + F.hardsigmoid(x) * 5).sum().backward()
out = x.grad
""",
    "gradients that pass NaN and infinity": """
nan, inf = float("nan"), float("inf")
x = torch.tensor([nan, 1.0], requires_grad=True)
(2**x).sum().backward()
y = torch.tensor([nan, 1.0], requires_grad=True)
y.max().backward()
z = torch.tensor([inf, -inf, 0.5], requires_grad=True)
F = torch.nn.functional
(F.smooth_l1_loss(z, torch.zeros(3)) + F.huber_loss(z, torch.zeros(3), delta=2.0)).backward()
h = torch.tensor([0.0, 1.0], requires_grad=True)
torch.atan2(h, torch.zeros(2)).sum().backward()
w = torch.tensor([0.5, 2.0], requires_grad=True)
((-2.0) ** w).sum().backward()
out = [x.grad, y.grad, z.grad, h.grad, w.grad]
""",
    "one number as an index": """
x = torch.tensor(array((2, 3, 4)))
one, pair = torch.tensor(1), torch.tensor([0, 1])
out = [x[one, :, pair], x[one], x[:, one], x[one, one, one]]
x[one].zero_()
x[one, :, pair] = torch.tensor(array((3, 2)))
x[:, one] += 1
out += [x]
""",
    "nonzero of one number": """
out = [torch.tensor(v).nonzero() for v in (0, 3)]
out += [torch.tensor(v).nonzero(as_tuple=True) for v in (0, 3)]
""",
    "tile and logsumexp of integers": """
x = torch.tensor([[1, 2], [3, 4]])
out = [x.tile(2), x.tile((2, 1)), torch.tile(x, (2, 1, 1)), x.logsumexp(0), x.logsumexp((0, 1))]
""",
    "lists of arrays keep their type": """
import numpy as np
out = [
    torch.tensor([np.float64(1), np.float64(2)]),
    torch.tensor([np.arange(3.0), np.arange(3.0)]),
    torch.tensor([[np.int32(3)]]),
    torch.tensor([torch.tensor(1.0, dtype=torch.float16)]),
    torch.tensor([1.0, 2.0]),
]
""",
    "copies of views share memory as before": """
import copy
base = torch.tensor(array((2, 3)))
column, row = base[:, 1], base[0]
copied_base, copied_column, copied_row = copy.deepcopy([base, column, row])
copied_base[0, 1] = 99
copied_row[0] = 55
out = [base, column, copied_base, copied_column, copied_row, list(copied_column.stride())]
""",
    "a checkpoint in memory": """
import io
file = io.BytesIO()
torch.save({"epoch": 3, "weights": [torch.tensor(array((2, 3))), torch.tensor(2)]}, file)
file.seek(0)
loaded = torch.load(file)
out = [loaded["epoch"], loaded["weights"]]
""",
}


def run(code: str, library: Any) -> Any:
    """What `code` leaves in `out` when `library` is called torch."""
    numbers = np.random.default_rng(7)
    names: dict[str, Any] = {
        "torch": library,
        "array": lambda shape: numbers.standard_normal(shape).astype(np.float32),
        "integers": lambda low, high, shape: numbers.integers(low, high, shape),
    }
    exec(code, names)
    return names["out"]


def flat(value: Any) -> list[Any]:
    """All tensors and numbers in nested lists, as NumPy values with their dtype."""
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in flat(item)]
    if hasattr(value, "detach"):
        return [(tuple(value.shape), str(value.dtype).split(".")[-1], value.detach().numpy())]
    return [value]


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippet_gives_what_pytorch_gives(name: str) -> None:
    expected, actual = flat(run(SNIPPETS[name], torch)), flat(run(SNIPPETS[name], grad))
    assert len(actual) == len(expected)
    for place, (mine, theirs) in enumerate(zip(actual, expected, strict=True)):
        if isinstance(theirs, tuple):
            assert mine[:2] == theirs[:2], f"result {place}"
            np.testing.assert_allclose(
                mine[2], theirs[2], rtol=2e-4, atol=2e-5, err_msg=f"result {place}"
            )
        elif isinstance(theirs, float):
            assert mine == pytest.approx(theirs, rel=2e-4), f"result {place}"
        else:
            assert mine == theirs, f"result {place}"
