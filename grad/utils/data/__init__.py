"""Data to train on: datasets (`dataset.py`), orders (`sampler.py`) and batches (`loader.py`)."""

from __future__ import annotations

from grad.utils.data.dataset import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from grad.utils.data.loader import DataLoader, default_collate
from grad.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler

__all__ = [
    "Dataset",
    "IterableDataset",
    "TensorDataset",
    "Subset",
    "ConcatDataset",
    "random_split",
    "DataLoader",
    "default_collate",
    "SequentialSampler",
    "RandomSampler",
    "BatchSampler",
]
