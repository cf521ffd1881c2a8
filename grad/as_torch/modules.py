"""Which module of PyTorch is served from where. See hook.py for how."""

from __future__ import annotations

from typing import NamedTuple

from grad.as_torch import answers
from grad.as_torch.answers import Answers


class Served(NamedTuple):
    """A module ``torch...``: names come from `answers`, and then from the module `source`.

    `reason`: why what neither has is missing, for modules without a source.
    """

    source: str | None = None
    answers: Answers | None = None
    reason: str = ""


ONE_PROCESS = "it trains in one process"
NO_COMPLEX = "there are no complex tensors"
NO_SPARSE = "there are no sparse tensors"
NOT_COMPILED_SO = "grad.compile compiles Python functions in its own way"

# Modules that are not simply the namesake in grad. A row serves the modules under it too.
TABLE: dict[str, Served] = {
    "torch": Served("grad", answers.TORCH),
    "torch.cpu": Served(None, answers.CPU),
    "torch.cuda": Served("grad.cuda", answers.CUDA),
    "torch.mps": Served(None, answers.NO_DEVICES, "there is no such device"),
    "torch.xpu": Served(None, answers.NO_DEVICES, "there is no such device"),
    "torch.mtia": Served(None, answers.NO_DEVICES, "there is no such device"),
    "torch.accelerator": Served(None, answers.NO_DEVICES, "there is no such device"),
    "torch.cuda.amp": Served("grad.amp", answers.mixed_precision("cuda")),
    "torch.cpu.amp": Served("grad.amp", answers.mixed_precision("cpu")),
    "torch.backends": Served(),
    "torch.backends.cudnn": Served(None, answers.LIBRARY),
    "torch.backends.cuda": Served(None, answers.CUDA_LIBRARY),
    "torch.backends.cuda.matmul": Served(None, answers.LIBRARY),
    "torch.backends.mps": Served(None, answers.LIBRARY),
    "torch.backends.mkl": Served(None, answers.LIBRARY),
    "torch.backends.mkldnn": Served(None, answers.LIBRARY),
    "torch.backends.openmp": Served(None, answers.LIBRARY),
    "torch.backends.opt_einsum": Served(None, answers.LIBRARY),
    "torch.compiler": Served(None, answers.COMPILER, NOT_COMPILED_SO),
    "torch.distributed": Served(None, answers.DISTRIBUTED, ONE_PROCESS),
    "torch.jit": Served(None, answers.JIT, NOT_COMPILED_SO),
    "torch.multiprocessing": Served("multiprocessing"),
    "torch.types": Served(None, answers.TYPES),
    "torch.version": Served(None, answers.VERSION),
    "torch.autograd": Served("grad.autograd"),
    "torch.autograd.anomaly_mode": Served("grad.autograd.anomaly"),
    "torch.autograd.function": Served("grad.autograd.function"),
    "torch.autograd.functional": Served("grad.autograd.functional"),
    "torch.autograd.graph": Served("grad.autograd.graph"),
    "torch.nn.modules": Served("grad.nn"),
    **{f"torch.nn.modules.{file}": Served("grad.nn", row) for file, row in answers.BASES.items()},
    "torch.nn.modules.utils": Served(None, answers.NUMBERS),
    "torch.nn.parallel": Served("grad.nn.parallel", None, ONE_PROCESS),
    "torch.optim.optimizer": Served("grad.optim.optimizer"),
    "torch.utils.data.dataloader": Served("grad.utils.data"),
    "torch.utils.data._utils": Served("grad.utils.data"),
    "torch.utils.cpp_extension": Served(None, None, "there is no C++ in it"),
    "torch.fft": Served(None, None, NO_COMPLEX),
    "torch.sparse": Served(None, None, NO_SPARSE),
    "torch.ao": Served(None, None, "there are no quantised tensors"),
    "torch.quantization": Served(None, None, "there are no quantised tensors"),
    "torch.fx": Served(None, None, NOT_COMPILED_SO),
    "torch.export": Served(None, None, NOT_COMPILED_SO),
    "torch.onnx": Served(None, None, "not written yet"),
    "torch.hub": Served(None, None, "it loads no code from elsewhere"),
    "torch.distributions.chi2": Served("grad.distributions.gamma"),
    "torch.distributions.fishersnedecor": Served("grad.distributions.fisher_snedecor"),
    "torch.distributions.half_cauchy": Served("grad.distributions.half"),
    "torch.distributions.half_normal": Served("grad.distributions.half"),
    "torch.distributions.lowrank_multivariate_normal": Served(
        "grad.distributions.low_rank_multivariate_normal"
    ),
    "torch.distributions.studentT": Served("grad.distributions.student_t"),
    "torch.library": Served(None, None, "operators are declared in grad/ops"),
    "torch._dynamo": Served(None, answers.TRACING, NOT_COMPILED_SO),
    "torch._inductor": Served(None, None, NOT_COMPILED_SO),
    "torch._C": Served(None, None, "there is no C++ in it"),
}


def served(name: str) -> Served:
    """How the module `name`, ``torch`` or one under it, is served.

    Example:
        >>> served("torch.nn.modules.linear").source
        'grad.nn'
        >>> served("torch.nn.functional").source
        'grad.nn.functional'
    """
    at = name
    while at != "torch":
        if at in TABLE:
            return TABLE[at]
        at = at.rpartition(".")[0]
    return TABLE[name] if name == "torch" else Served(f"grad{name.removeprefix('torch')}")
