"""A graph network with scatter, a little diffusion model, mixture density, seq2seq with packed GRU."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, ReduceLROnPlateau, SequentialLR

torch.manual_seed(0)


class GCNConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(i, o)), nn.Parameter(torch.zeros(o))
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)

    def forward(self, x, edge_index):
        row, col = edge_index
        deg = torch.zeros(x.size(0)).scatter_add_(0, row, torch.ones(row.numel()))
        norm = deg.pow(-0.5)
        norm[torch.isinf(norm)] = 0
        message = (x @ self.weight)[col] * (norm[row] * norm[col]).unsqueeze(-1)
        return torch.zeros(x.size(0), message.size(1)).index_add_(0, row, message) + self.bias

    def __repr__(self):
        return f"{self.__class__.__name__} ({self.weight.size(0)} -> {self.weight.size(1)})"


nodes, edges = torch.randn(12, 6), torch.randint(0, 12, (2, 40))
labels, mask = torch.randint(0, 3, (12,)), torch.rand(12) < 0.7
convs = nn.ModuleList([GCNConv(6, 16), GCNConv(16, 3)])
optimizer = torch.optim.Adam(
    [dict(params=convs[0].parameters(), weight_decay=5e-4), dict(params=convs[1].parameters())],
    lr=0.02,
)
scheduler = ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=2)
for epoch in range(30):
    hidden = F.dropout(F.relu(convs[0](nodes, edges)), p=0.2, training=convs.training)
    loss = F.nll_loss(F.log_softmax(convs[1](hidden, edges), dim=1)[mask], labels[mask])
    first = loss.item() if epoch == 0 else first
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step(loss)
print(convs, first, loss.item())
assert loss < first

T = 20
betas = torch.linspace(1e-4, 0.02, T)
alphas_cumprod = torch.cumprod(1.0 - betas, axis=0)
alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)


def extract(a, t, x_shape):
    out = a.gather(-1, t.cpu())
    return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1))).to(t.device)


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        half = self.dim // 2
        freq = torch.exp(torch.arange(half, device=time.device) * -(math.log(10000) / (half - 1)))
        angles = time[:, None] * freq[None, :]
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Sequential(SinusoidalPositionEmbeddings(8), nn.Linear(8, 16), nn.SiLU())
        self.inp, self.out = nn.Linear(2, 16), nn.Linear(16, 2)

    def forward(self, x, t):
        return self.out(F.silu(self.inp(x) + self.time(t)))


denoiser = Denoiser()
optimizer = torch.optim.AdamW(denoiser.parameters(), lr=5e-3)
scheduler = SequentialLR(
    optimizer,
    [LinearLR(optimizer, 0.1, total_iters=5), CosineAnnealingLR(optimizer, T_max=25)],
    milestones=[5],
)
losses = []
for step in range(30):
    angle = 2 * math.pi * torch.rand(64)
    x0 = torch.stack([angle.cos(), angle.sin()], 1)
    t = torch.randint(0, T, (64,)).long()
    noise = torch.randn_like(x0)
    xt = (
        extract(alphas_cumprod.sqrt(), t, x0.shape) * x0
        + extract((1 - alphas_cumprod).sqrt(), t, x0.shape) * noise
    )
    loss = F.smooth_l1_loss(denoiser(xt, t), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())


@torch.no_grad()
def sample(n):
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i, dtype=torch.long)
        beta, ac = extract(betas, t, x.shape), extract(alphas_cumprod, t, x.shape)
        x = (x - beta * denoiser(x, t) / (1 - ac).sqrt()) / (1 - beta).sqrt()
        if i > 0:
            x += beta.sqrt() * torch.randn_like(x)
    return x


assert sum(losses[-5:]) < sum(losses[:5]) and sample(7).shape == (7, 2)

sequences = [torch.randn(n, 4) for n in (5, 3, 2)]
lengths = torch.tensor([len(s) for s in sequences])
gru = nn.GRU(4, 6, bidirectional=True, batch_first=True)
packed = pack_padded_sequence(
    pad_sequence(sequences, batch_first=True), lengths, batch_first=True, enforce_sorted=False
)
output, hidden = gru(packed)
padded, sizes = pad_packed_sequence(output, batch_first=True)
padded.sum().backward()
assert padded.shape == (3, 5, 12) and sizes.tolist() == [5, 3, 2] and hidden.shape == (2, 3, 6)
assert gru.weight_hh_l0_reverse.grad is not None
attention = nn.MultiheadAttention(12, 3, batch_first=True)
attended, weights = attention(
    padded, padded, padded, key_padding_mask=torch.arange(5)[None] >= sizes[:, None]
)
assert weights.shape == (3, 5, 5) and torch.allclose(weights.sum(-1), torch.ones(3, 5))
