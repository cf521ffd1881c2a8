"""`SummaryWriter`: what a training run logs, in the files that TensorBoard shows.

The methods are those of ``torch.utils.tensorboard``; the package tensorboardX writes the format.
Here tensors become arrays, and a model becomes the graph of its computation. TensorBoard itself
(``pip install tensorboard``) is needed only to look: ``tensorboard --logdir runs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from grad.drawing.collect import Box, Graph, collect
from grad.nn.module import Module
from grad.tensor import Tensor
from grad.utils.optional import optional

EXTRA = "tensorboard"
PURPOSE = "a TensorBoard SummaryWriter"


class SummaryWriter:
    """Writes scalars, histograms, images, text and graphs for TensorBoard.

    Values may be tensors, arrays or numbers; a tensor is computed when it is given. Every method
    with a `global_step` and a `walltime` (seconds since 1970, by default now) takes them last.

    Args:
        log_dir: directory, by default ``runs/DATE_HOST`` with `comment` after it.
        purge_step: what a run that crashed wrote from this step on is hidden.
        max_queue, flush_secs: events and seconds after which the file is written.
        filename_suffix: added to the names of the files.

    Raises:
        ImportError: naming the extra, without tensorboardX.

    Example:
        >>> import tempfile, grad
        >>> with tempfile.TemporaryDirectory() as directory, SummaryWriter(directory) as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", grad.tensor(1.0 / (step + 1)), step)
    """

    def __init__(
        self,
        log_dir: Any = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        package = optional("tensorboardX", EXTRA, PURPOSE)
        self._writer = package.SummaryWriter(
            None if log_dir is None else str(log_dir),
            comment,
            purge_step=purge_step,
            max_queue=max_queue,
            flush_secs=flush_secs,
            filename_suffix=filename_suffix,
        )
        self.log_dir: str = str(self._writer.logdir)

    def get_logdir(self) -> str:
        """The directory that is written to."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Add a point to the curve `tag`.

        `new_style` and `double_precision` are accepted as PyTorch has them; the number is written
        as a float32.
        """
        self._writer.add_scalar(tag, _scalar(tag, scalar_value), global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Add a point to each of several curves that are shown in one picture."""
        scalars = {name: _scalar(name, value) for name, value in tag_scalar_dict.items()}
        self._writer.add_scalars(main_tag, scalars, global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: str = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Add how the elements of `values`, of any shape, are distributed."""
        self._writer.add_histogram(tag, _array(values), global_step, bins, walltime, max_bins)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Add an image: floats in [0, 1] or bytes, ``(1 or 3, height, width)`` by default."""
        self._writer.add_image(tag, _array(img_tensor), global_step, walltime, dataformats)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Add a sheet of images, ``(count, 1 or 3, height, width)`` by default."""
        self._writer.add_images(tag, _array(img_tensor), global_step, walltime, dataformats)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: int | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Add a matplotlib figure, such as ``grad.utils.plot`` gives, or a list of them.

        `close` is accepted as PyTorch has it: figures that pyplot does not hold need no closing.
        """
        canvases = optional("matplotlib.backends.backend_agg", "plot", "a figure as an image")
        figures = figure if isinstance(figure, Sequence) else [figure]
        sheets = [_pixels(canvases.FigureCanvasAgg(one)) for one in figures]
        self._writer.add_images(tag, np.stack(sheets), global_step, walltime, "NHWC")

    def add_text(
        self,
        tag: str,
        text_string: str,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Add text, shown as Markdown."""
        self._writer.add_text(tag, text_string, global_step, walltime)

    def add_graph(
        self,
        model: Module,
        input_to_model: Any = None,
        verbose: bool = False,
        use_strict_trace: bool = True,
    ) -> None:
        """Add how `model` computes its result from an input, or from a tuple of inputs.

        The graph is the one that backward passes walk: functions, and parameters by their names.
        The model is called once; values of a few elements are computed and written beside their
        nodes. `use_strict_trace` has no meaning here.

        Raises:
            GradientError: the result depends on nothing that has a gradient.
            ValueError: the graph has more boxes than ``grad.draw`` would draw.
        """
        inputs = input_to_model if isinstance(input_to_model, tuple) else (input_to_model,)
        result = model(*inputs)
        while not isinstance(result, Tensor):
            result = next(iter(result.values() if isinstance(result, Mapping) else result))
        parameters = dict(model.named_parameters())
        definition = _graph_definition(collect(result, parameters), parameters)
        if verbose:
            print(definition)
        # The writer's add_graph wants times of a run beside the graph; this one writes it alone.
        self._writer.file_writer.add_onnx_graph(definition)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, Sequence[Any]] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Add the settings of a run and what it reached, to compare runs in one table.

        The numbers go to a directory `run_name` (by default the time) under the writer's own.

        Raises:
            NotImplementedError: for `hparam_domain_discrete`.
        """
        if hparam_domain_discrete is not None:
            raise NotImplementedError(
                "add_hparams: hparam_domain_discrete is not written; leave it out."
            )
        settings = {
            name: _scalar(name, value) if isinstance(value, (Tensor, np.generic)) else value
            for name, value in hparam_dict.items()
        }
        metrics = {name: _scalar(name, value) for name, value in metric_dict.items()}
        self._writer.add_hparams(settings, metrics, run_name, global_step)

    def flush(self) -> None:
        """Write what waits to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Write what waits and close the files."""
        self._writer.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _array(value: Any) -> np.ndarray:
    """Elements of a tensor as an array; those of 16 bits, which NumPy sums badly, as float32."""
    if isinstance(value, Tensor):
        value = value.detach()
        is_short = value.dtype.is_floating_point and value.dtype.itemsize < 4
        return (value.float() if is_short else value).numpy()
    if isinstance(value, Sequence) and any(isinstance(one, Tensor) for one in value):
        return np.stack([_array(one) for one in value])
    return np.asarray(value)


def _scalar(tag: str, value: Any) -> float:
    array = _array(value)
    if array.size != 1:
        raise ValueError(f"{tag!r}: needs one number, not an array of the shape {array.shape}.")
    return float(array.reshape(()))


def _pixels(canvas: Any) -> np.ndarray:
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _graph_definition(graph: Graph, parameters: Iterable[str]) -> Any:
    """The graph in TensorBoard's format: a node for each box, in the scope of its parameter."""
    messages = optional("tensorboardX.proto.graph_pb2", EXTRA, PURPOSE)
    versions = optional("tensorboardX.proto.versions_pb2", EXTRA, PURPOSE)
    known = frozenset(parameters)
    kinds = [_kind(box, known) for box in graph.boxes]
    names = [
        box.lines[0].replace(".", "/") if kind == "Parameter" else f"{kind}_{place}"
        for place, (box, kind) in enumerate(zip(graph.boxes, kinds))
    ]
    definition = messages.GraphDef(versions=versions.VersionDef(producer=22))
    for box, kind, name in zip(graph.boxes, kinds, names):
        node = definition.node.add(name=name, op=kind)
        node.attr["lines"].s = "\n".join(box.lines).encode()
    for source, target in graph.arrows:
        definition.node[target].input.append(names[source])
    return definition


def _kind(box: Box, parameters: frozenset[str]) -> str:
    if box.is_function:
        return box.lines[0]
    return "Parameter" if box.lines and box.lines[0] in parameters else "Tensor"
