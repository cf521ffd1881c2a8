"""`SummaryWriter`: what is in the files afterwards, read with the format's own messages."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grad
from grad import nn
from grad.utils import plot
from grad.utils.tensorboard import SummaryWriter

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
graph_pb2 = pytest.importorskip("tensorboardX.proto.graph_pb2")


def events(directory: Path) -> Iterator[Any]:
    """All events under a directory. A record is a length, its checksum, data and their checksum."""
    for path in sorted(directory.rglob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            yield event_pb2.Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]


def values(directory: Path) -> dict[tuple[str, int], Any]:
    return {
        (value.tag, event.step): value
        for event in events(directory)
        for value in event.summary.value
    }


def test_scalars(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        assert writer.get_logdir() == writer.log_dir == str(tmp_path)
        weight = grad.tensor([3.0], requires_grad=True)
        for step in range(3):
            writer.add_scalar("loss", (weight * step).sum(), step)
        writer.add_scalar("rate", 0.5, global_step=7)
        writer.add_scalar("half", grad.tensor(1.5, dtype=grad.bfloat16))
        with pytest.raises(ValueError, match="one number"):
            writer.add_scalar("many", grad.ones(2))
    found = values(tmp_path)
    assert [found["loss", step].simple_value for step in range(3)] == [0, 3, 6]
    assert found["rate", 7].simple_value == 0.5
    assert found["half", 0].simple_value == 1.5


def test_scalars_together(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalars("losses", {"train": grad.tensor(1.0), "test": 2.0}, 4)
    for name, expected in (("train", 1), ("test", 2)):
        assert values(tmp_path / "losses" / name)["losses", 4].simple_value == expected


def test_histogram(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("weight", grad.tensor(array, requires_grad=True), 2)
    histogram = values(tmp_path)["weight", 2].histo
    assert histogram.num == 100
    assert histogram.sum == pytest.approx(array.sum(), rel=1e-5)
    assert (histogram.min, histogram.max) == (array.min(), array.max())


def test_images_and_figures(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("one", grad.rand(3, 6, 8), 1)
        writer.add_image("flat", grad.rand(6, 8), 1, dataformats="HW")
        writer.add_images("many", grad.rand(4, 1, 6, 8), 1)
        writer.add_figure("curve", plot.curves([1.0, 2.0]), 1)
    found = values(tmp_path)
    for tag, size in (("one", (6, 8)), ("flat", (6, 8)), ("many", (6, 32))):
        image = found[tag, 1].image
        assert (image.height, image.width) == size
        assert image.encoded_image_string[:4] == b"\x89PNG"
    assert found["curve", 1].image.height == 400


def test_text_and_settings(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("note", "a *word*", 3)
        writer.add_hparams(
            {"rate": 0.1, "name": "adam"}, {"accuracy": grad.tensor(0.9)}, run_name="first"
        )
        with pytest.raises(NotImplementedError, match="hparam_domain_discrete"):
            writer.add_hparams({}, {}, {"rate": [0.1]})
    assert b"a *word*" in values(tmp_path)["note/text_summary", 3].tensor.string_val[0]
    metrics = values(tmp_path / "first")
    assert metrics["accuracy", 0].simple_value == pytest.approx(0.9)


def test_graph(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(model, grad.randn(5, 3))
    (graph,) = (
        graph_pb2.GraphDef.FromString(event.graph_def)
        for event in events(tmp_path)
        if event.graph_def
    )
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node)
    parameters = {name.replace(".", "/") for name, _ in model.named_parameters()}
    assert parameters <= set(nodes)
    assert all(source in nodes for node in graph.node for source in node.input)
    read = {source for node in graph.node for source in node.input}
    assert parameters <= read
    assert len(set(nodes) - read) == 1  # the result alone leads nowhere


def test_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    writer = SummaryWriter(comment="_small")
    writer.flush()
    writer.close()
    assert Path(writer.log_dir).parent.name == "runs"
    assert writer.log_dir.endswith("_small")


def test_package_is_named_when_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"micrograd\[tensorboard\]"):
        SummaryWriter()
