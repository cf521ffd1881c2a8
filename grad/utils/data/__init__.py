"""Data to train on: datasets (`dataset.py`), orders (`sampler.py`) and batches (`loader.py`)."""

from __future__ import annotations

from grad.utils.data.collate import default_collate, default_collate_fn_map, default_convert
from grad.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from grad.utils.data.distributed import DistributedSampler
from grad.utils.data.loader import DataLoader
from grad.utils.data.readers import read_idx, read_mnist
from grad.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from grad.utils.data.text import CharacterDataset, read_text
from grad.utils.data.worker import get_worker_info

__all__ = [
    "Dataset",
    "IterableDataset",
    "TensorDataset",
    "StackDataset",
    "Subset",
    "ConcatDataset",
    "ChainDataset",
    "random_split",
    "DataLoader",
    "default_collate",
    "default_collate_fn_map",
    "default_convert",
    "get_worker_info",
    "read_idx",
    "read_mnist",
    "read_text",
    "CharacterDataset",
    "Sampler",
    "SequentialSampler",
    "RandomSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
    "BatchSampler",
    "DistributedSampler",
]
