"""A Siamese network with contrastive and triplet losses, and a Dataset of its own with workers."""

import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset


class Pairs(Dataset):
    def __init__(self, transform=None):
        self.transform = transform
        self.random = np.random.RandomState(0)
        self.centers = self.random.randn(3, 1, 12, 12).astype(np.float32)

    def __len__(self):
        return 48

    def __getitem__(self, index):
        first = index % 3
        second = first if index % 2 else (first + 1) % 3
        pair = [
            self.centers[c] + 0.3 * self.random.randn(1, 12, 12).astype("f4")
            for c in (first, second)
        ]
        if self.transform:
            pair = [self.transform(p) for p in pair]
        return pair[0], pair[1], torch.tensor(float(index % 2), dtype=torch.float)


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=3, padding="same"), nn.PReLU(), nn.MaxPool2d(2, stride=2)
        )
        self.fc = nn.Sequential(nn.Linear(8 * 36 // 2, 16), nn.ReLU(inplace=True), nn.Linear(16, 1))
        self.fc.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward_once(self, x):
        output = self.cnn(x)
        return output.view(output.size()[0], -1)

    def forward(self, input1, input2):
        one, two = self.forward_once(input1), self.forward_once(input2)
        return one, two, self.fc(torch.abs(one - two)).squeeze(-1)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, one, two, same):
        distance = F.pairwise_distance(one, two, keepdim=True)
        return torch.mean(
            same[:, None] * torch.pow(distance, 2)
            + (1 - same[:, None]) * torch.pow(torch.clamp(self.margin - distance, min=0.0), 2)
        )


def worker_init(worker_id):
    np.random.seed(worker_id)
    random.seed(worker_id)


if __name__ == "__main__":
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(
        Pairs(torch.as_tensor), batch_size=8, shuffle=True, num_workers=2, generator=generator,
        worker_init_fn=worker_init, pin_memory=torch.cuda.is_available(), drop_last=True,
    )  # fmt: skip
    model = SiameseNetwork()
    contrastive, logistic = ContrastiveLoss(), nn.BCEWithLogitsLoss()
    triplet = nn.TripletMarginLoss(margin=1.0, p=2)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    history = []
    for epoch in range(3):
        running = 0.0
        for batch_idx, (one, two, same) in enumerate(loader):
            optimizer.zero_grad()
            a, b, out = model(one, two)
            loss = contrastive(a, b, same) + logistic(out, same) + 0.1 * triplet(a, b, b.roll(1, 0))
            loss.backward()
            optimizer.step()
            running += loss.item() * one.size(0)
        scheduler.step()
        history.append(running / len(loader.dataset))
        print(
            f"Train Epoch: {epoch} [{batch_idx * len(one)}/{len(loader.dataset)}] {history[-1]:.6f}"
        )
    assert history[-1] < history[0]
    with torch.inference_mode():
        similarity = F.cosine_similarity(a, b)
    assert similarity.shape == (8,) and scheduler.get_last_lr()[0] < 0.5
