"""A sparse, denoising, convolutional autoencoder: hooks, one-cycle schedule, early stopping, EMA."""

import copy

import torch
from torch import nn, optim
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Autoencoder(nn.Module):
    def __init__(self):
        super(Autoencoder, self).__init__()  # noqa: UP008
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.ELU(),
            nn.Conv2d(8, 4, 3, stride=2, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(4, 8, 3, stride=2, padding=1, output_padding=1),
            nn.ELU(),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(8, 1, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


class EarlyStopping:
    def __init__(self, patience=3):
        self.patience, self.best, self.bad, self.state = patience, float("inf"), 0, None

    def __call__(self, loss, model):
        if loss < self.best:
            self.best, self.bad, self.state = loss, 0, copy.deepcopy(model.state_dict())
        else:
            self.bad += 1
        return self.bad >= self.patience


torch.manual_seed(0)
grid = torch.stack(torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij"))
centers = torch.randint(4, 12, (60, 2, 1, 1)).float()
pictures = torch.exp(-((grid[None] - centers) ** 2).sum(1, keepdim=True) / 8)
train, valid = random_split(
    TensorDataset(pictures), [48, 12], generator=torch.Generator().manual_seed(1)
)
model = Autoencoder()
activations, norms = {}, []
handle = model.encoder.register_forward_hook(lambda m, inp, out: activations.update(code=out))
model.decoder[0].register_full_backward_hook(lambda m, gi, go: norms.append(go[0].norm().item()))
criterion = nn.MSELoss()
optimizer = optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.9)
epochs, train_loader = 4, DataLoader(train, batch_size=16, shuffle=True)
scheduler = optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=5e-3, steps_per_epoch=len(train_loader), epochs=epochs
)
ema, stopping = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9)), EarlyStopping()
history = []
for epoch in range(epochs):
    model.train()
    for (x,) in train_loader:
        noisy = (x + 0.1 * torch.randn_like(x)).clamp_(0, 1)
        loss = criterion(model(noisy), x) + 1e-4 * activations["code"].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        ema.update_parameters(model)
    model.eval()
    with torch.no_grad():
        val = sum(criterion(model(x), x).item() * len(x) for (x,) in DataLoader(valid, 6)) / len(
            valid
        )
    history.append(val)
    print(f"epoch {epoch + 1}: {val:.5f}, lr {scheduler.get_last_lr()[0]:.2e}")
    if stopping(val, model):
        break
handle.remove()
model.load_state_dict(stopping.state)
assert history[-1] < history[0] and len(norms) == 3 * len(history)
assert torch.isfinite(ema(pictures[:2])).all()
