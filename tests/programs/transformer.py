"""An encoder and a decoder with attention, between them all of nn.Transformer."""

import math

import torch
from torch import nn


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=32):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(1, max_len, d_model)
        pe[0, :, 0::2] = torch.sin(position * div_term)
        pe[0, :, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


class Translator(nn.Module):
    def __init__(self, words=23, d_model=16, nhead=4):
        super().__init__()
        self.d_model = d_model
        self.source = nn.Embedding(words, d_model)
        self.target = nn.Embedding(words, d_model)
        self.positions = PositionalEncoding(d_model)
        self.transformer = nn.Transformer(
            d_model,
            nhead,
            num_encoder_layers=2,
            num_decoder_layers=2,
            dim_feedforward=32,
            dropout=0.0,
            batch_first=True,
        )
        self.generator = nn.Linear(d_model, words)

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.size(1))
        source_mask = source == 0
        out = self.transformer(
            self.positions(self.source(source) * math.sqrt(self.d_model)),
            self.positions(self.target(target) * math.sqrt(self.d_model)),
            tgt_mask=mask,
            src_key_padding_mask=source_mask,
            memory_key_padding_mask=source_mask,
            tgt_is_causal=True,
        )
        return self.generator(out)


def make_model():
    return Translator()


def make_batch(random):
    source = random.integers(1, 23, size=(4, 9))
    source[1, 6:] = source[2, 4:] = 0
    return torch.from_numpy(source), torch.from_numpy(random.integers(1, 23, size=(4, 8)))


def loss_of(model, source, target):
    logits = model(source, target[:, :-1])
    return nn.functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten())
