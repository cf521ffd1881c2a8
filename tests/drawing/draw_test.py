"""`grad.draw`: what is in a picture, and that boxes do not overlap."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import grad
from grad.drawing import Drawing
from grad.drawing.layout import place


def karpathy() -> tuple[Drawing, grad.Tensor]:
    a = grad.tensor(2.0, requires_grad=True)
    b = grad.tensor(-3.0, requires_grad=True)
    c = a * b
    c.retain_grad()
    loss = (c + 6.5).tanh() * a
    loss.backward()
    return grad.draw(loss), loss


def test_values_gradients_and_names_of_the_variables() -> None:
    drawing, loss = karpathy()
    texts = {box.lines for box in drawing.graph.boxes}
    sums = 1 - np.tanh(0.5) ** 2
    slope_a = np.tanh(0.5) + 2 * sums * -3
    assert ("a", "2", f"grad {slope_a:.4g}") in texts
    assert ("b", "-3", f"grad {2 * sums * 2:.4g}") in texts
    assert ("c", "-6", f"grad {2 * sums:.4g}") in texts
    assert ("loss", f"{loss.item():.4g}") in texts
    # Nobody holds the sum: its shape is shown.
    assert ("float32 []",) in texts
    functions = [box.lines[0] for box in drawing.graph.boxes if box.is_function]
    assert sorted(functions) == ["Add", "Mul", "Mul", "Tanh"]


def test_arrows_are_in_the_order_of_computation() -> None:
    drawing, _ = karpathy()
    boxes = [box.lines[0] for box in drawing.graph.boxes]
    arrows = {(boxes[start], boxes[end]) for start, end in drawing.graph.arrows}
    assert {("a", "Mul"), ("b", "Mul"), ("Mul", "c"), ("c", "Add"), ("Mul", "loss")} <= arrows
    spots = place(drawing.graph)
    for start, end in drawing.graph.arrows:
        assert spots[start].x + spots[start].width < spots[end].x


@pytest.mark.parametrize("layers", [1, 4])
def test_boxes_do_not_overlap(layers: int) -> None:
    model = grad.nn.Sequential(*[grad.nn.Linear(3, 3) for _ in range(layers)], grad.nn.Tanh())
    out = model(grad.randn(2, 3)).sum()
    drawing = grad.draw(out, dict(model.named_parameters()))
    assert ("0.weight", "float32 [3, 3]", "grad None") in {b.lines for b in drawing.graph.boxes}
    spots = place(drawing.graph)
    for number, one in enumerate(spots):
        for other in spots[:number]:
            apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
            apart_y = one.y + one.height <= other.y or other.y + other.height <= one.y
            assert apart_x or apart_y


def test_several_results_of_one_function() -> None:
    x = grad.tensor([3.0, 1.0, 2.0], requires_grad=True)
    values, places = x.max(0)
    low, high = x.split([1, 2])
    drawing = grad.draw(values * low.sum() * high.prod())
    assert ("values", "3") in {box.lines for box in drawing.graph.boxes}
    assert places.item() == 0


def test_files(tmp_path: Path) -> None:
    a = grad.tensor(1.0, requires_grad=True)
    drawing = grad.draw(a * 2, {'<a> & "b"': a})
    drawing.save(tmp_path / "x.svg")
    root = ElementTree.parse(tmp_path / "x.svg").getroot()
    assert '<a> & "b"' in [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    drawing.save(tmp_path / "x.dot")
    text = (tmp_path / "x.dot").read_text()
    assert text.startswith("digraph {") and text.count("->") == len(drawing.graph.arrows)
    assert '\\<a\\>\\ &\\ \\"b\\"' in text
    assert drawing._repr_svg_() == (tmp_path / "x.svg").read_text()
    with pytest.raises(ValueError, match=r"\.svg and \.dot"):
        drawing.save(tmp_path / "x.png")


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(RuntimeError, match="no history"):
        grad.draw(grad.ones(2))
    x = grad.ones(1, requires_grad=True)
    for _ in range(600):
        x = x * 2
    with pytest.raises(ValueError, match="more than 500"):
        grad.draw(x)
