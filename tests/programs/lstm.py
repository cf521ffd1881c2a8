"""An LSTM of two layers that tells the sentiment of sequences of words, and their next words."""

import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, words=30, features=12, hidden=16):
        super().__init__()
        self.embedding = nn.Embedding(words, features, padding_idx=0)
        self.lstm = nn.LSTM(features, hidden, num_layers=2, batch_first=True)
        self.next_word = nn.Linear(hidden, words)
        self.sentiment = nn.Linear(hidden, 1)

    def forward(self, words, state=None):
        out, (h, _) = self.lstm(self.embedding(words), state)
        return self.next_word(out), self.sentiment(h[-1]).squeeze(1)


def make_model():
    return Tagger()


def make_batch(random):
    words = torch.from_numpy(random.integers(30, size=(6, 11)))
    return words, torch.from_numpy(random.integers(2, size=6).astype("float32"))


def loss_of(model, words, positive):
    inputs, targets = words[:, :-1], words[:, 1:]
    following, sentiment = model(inputs)
    language = nn.functional.cross_entropy(following.transpose(1, 2), targets, ignore_index=0)
    return language + nn.functional.binary_cross_entropy_with_logits(sentiment, positive)
