"""word2vec with negative sampling, and a factorisation of ratings: sparse tables of vectors."""

from collections import Counter

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1)
text = "the quick brown fox jumps over the lazy dog while the cat sleeps under the old tree".split()
vocabulary = {word: i for i, (word, _) in enumerate(Counter(text).most_common())}
frequency = torch.tensor([float(Counter(text)[w]) for w in vocabulary]) ** 0.75


class SkipGramNeg(nn.Module):
    def __init__(self, n_vocab, n_embed, noise_dist):
        super().__init__()
        self.in_embed = nn.Embedding(n_vocab, n_embed)
        self.out_embed = nn.Embedding(n_vocab, n_embed)
        self.noise_dist = noise_dist
        self.in_embed.weight.data.uniform_(-1, 1)
        self.out_embed.weight.data.uniform_(-1, 1)

    def forward(self, center, context, n_samples=4):
        noise = torch.multinomial(self.noise_dist, len(center) * n_samples, replacement=True)
        noise = self.out_embed(noise).view(len(center), n_samples, -1)
        c = self.in_embed(center).unsqueeze(2)
        positive = torch.bmm(self.out_embed(context).unsqueeze(1), c).sigmoid().log().squeeze()
        negative = torch.bmm(noise.neg(), c).sigmoid().log().squeeze(2).sum(1)
        return -(positive + negative).mean()


ids = torch.LongTensor([vocabulary[w] for w in text])
pairs = torch.tensor(
    [
        (ids[i].item(), ids[j].item())
        for i in range(len(ids))
        for j in range(max(0, i - 2), min(len(ids), i + 3))
        if i != j
    ]
)
model = SkipGramNeg(len(vocabulary), 8, frequency / frequency.sum())
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
losses = []
for _ in range(40):
    order = torch.randperm(len(pairs))
    for chunk in order.split(32):
        loss = model(*pairs[chunk].t())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    losses.append(float(loss))
print(losses[0], losses[-1])
assert np.mean(losses[-5:]) < np.mean(losses[:5])
vectors = F.normalize(model.in_embed.weight.detach(), dim=1)
similar = (vectors @ vectors.T).fill_diagonal_(-1).topk(3, dim=1)
assert similar.indices.shape == (len(vocabulary), 3)


class MatrixFactorization(torch.nn.Module):
    def __init__(self, n_users, n_items, n_factors=4):
        super().__init__()
        self.user_factors = torch.nn.Embedding(n_users, n_factors)
        self.item_factors = torch.nn.Embedding(n_items, n_factors)
        self.user_biases = torch.nn.Embedding(n_users, 1)
        self.item_biases = torch.nn.Embedding(n_items, 1)
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, user, item):
        pred = self.user_biases(user) + self.item_biases(item) + self.bias
        pred += (self.user_factors(user) * self.item_factors(item)).sum(dim=1, keepdim=True)
        return pred.squeeze()


rows, cols = np.random.RandomState(0).rand(20, 15).nonzero()
ratings = torch.FloatTensor(np.random.RandomState(1).randint(1, 6, len(rows)))
user, item = torch.LongTensor(rows), torch.LongTensor(cols)
bags = nn.EmbeddingBag(15, 3, mode="mean")
assert bags(item[:6], torch.tensor([0, 4])).shape == (2, 3)
factors = MatrixFactorization(20, 15)
optimizer = torch.optim.SGD(factors.parameters(), lr=0.5, weight_decay=1e-4)
first = None
for _ in range(60):
    optimizer.zero_grad()
    loss = F.mse_loss(factors(user, item), ratings)
    first = loss.item() if first is None else first
    loss.backward()
    optimizer.step()
print(first, loss.item())
assert loss < first
