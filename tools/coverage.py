"""The table of coverage: which of PyTorch's public names there are here, and why others are not.

PyTorch's names are in tools/torch_names.txt (written by tools/torch_names.py), reasons in `REASONS`
below, by pattern. ``python -m tools.coverage`` writes docs/coverage.md, which is also the last
part of the reference; tests/coverage_test.py fails for a name that is neither there nor has a
reason, and for a page that says something else than the code.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grad
from tools.torch_names import NAMES_FILE, NAMESPACES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coverage.md"


class Reason(NamedTuple):
    """Why names of PyTorch's that match `pattern` (from its start to its end) are not here."""

    text: str
    pattern: re.Pattern[str]


def reason(text: str, *patterns: str) -> Reason:
    return Reason(text, re.compile("|".join(patterns)))


# What is to come, by namespace.
NOT_YET = {
    "torch": """
        histogramdd lobpcg""",
    "torch.func": """
        rearrange""",
    "torch.utils.checkpoint": """
        CheckpointPolicy SAC_IGNORED_OPS SelectiveCheckpointContext
        create_selective_checkpoint_contexts""",
}


def _not_yet() -> Iterator[str]:
    for namespace, names in NOT_YET.items():
        yield from (re.escape(f"{namespace}.{name}") for name in names.split())


# The first that matches is given.
REASONS: Sequence[Reason] = (
    reason(
        "complex numbers: not yet",
        r"torch\.fft\..*",
        r"torch(\.Tensor)?\.(c(double|float|half)|i?stft|is_conj|is_neg|imag|real|polar|complex\w*)",
        r"torch\.view_as_(real|complex)(_copy)?",
        r"torch(\.linalg|\.Tensor)?\.(eig|eigvals)",
    ),
    reason(
        "sparse, nested and jagged tensors: every tensor here is dense",
        r"torch(\.Tensor)?\.(\w*sparse\w*|[hds]smm|smm|hspmm|spmm|s(sp)?addmm|jagged|coalesce)",
        r"torch(\.Tensor)?\.((c?col|c?row|crow)_indices(_copy)?|is_coalesced|dense_dim|to_dense)",
        r"torch(\.Tensor)?\.(indices(_copy)?|values(_copy)?|is_nested|to_padded_tensor)",
        r"torch\.optim\.SparseAdam",
    ),
    reason(
        "quantized tensors, and types of less than 8 bits or of 8-bit floats",
        r"torch(\.Tensor)?\.(\w*(quant|qparams)\w*|q(scheme|_\w+)|qu?int\w+|int_repr|per_(ch|te)\w+)",
        r"torch\.(fake_\w+|fused_moving_avg\w+|fbgemm_\w+|bit(s\w+)?|u?int[1-7]|float[48]_\w+)",
        r"torch\.nn\.functional\.(scaled_(grouped_)?mm|ScalingType|SwizzleType)",
    ),
    reason(
        "devices other than the CPU, and what libraries of other makers compute",
        r"torch(\.Tensor)?\.(cudnn|miopen|mkldnn)_\w+|torch\.(Stream|Event|(Stream|Device)Obj\w+)",
        r"torch\.Tensor\.(cuda|ipu|xpu|mtia|to_mkldnn|record_stream)",
        r"torch(\.Tensor)?\.is_(ipu|maia|meta|mkldnn|mps|mtia|vulkan\w*|xla|xpu)",
        r"torch\.(get_device_module|AcceleratorError|has_(mkl|lapack|openmp|spectral))",
        r"torch\.(compiled_with_cxx11_abi|OutOfMemoryError)",
        r"torch\.nn\.SyncBatchNorm",
    ),
    reason(
        "inner names of automatic mixed precision, and other devices' ones; use `autocast`",
        r"torch\.\w*autocast\w*",
    ),
    reason(
        "a choice among implementations of attention, of which there is one here",
        r"torch\.nn\.attention\.(SDPAParams|WARN_\w+|can_use_\w+|\w+_flash_attention_impls?)",
    ),
    reason(
        "TorchScript, its graphs and its types; `grad.compile` takes plain functions",
        r"torch\.\w*(Type|JIT|Script)\w*",
        r"torch\.(AliasDb|Argument\w*|Benchmark\w+|Block|BufferDict|CallStack|Capsule|Code)",
        r"torch\.(CompilationUnit|CompleteArgumentSpec|ConcreteModule\w+|ErrorReport|ExecutionPlan)",
        r"torch\.(FileCheck|FunctionSchema|Future|Gradient|Graph\w*|IODescriptor|\w*Logger\w*)",
        r"torch\.(ModuleDict|ParameterDict|Node|Operator\w+|StaticModule|ThroughputBenchmark|Use)",
        r"torch\.(TracingState|Value|import_ir_\w+|parse_\w+|merge_type\w+|unify_type_list)",
        r"torch\.(fork|wait|cond|while_loop|DeepCopyMemoTable|\w*erializationStorageContext)",
        r"torch\.PyTorchFile(Reader|Writer)|torch\.testing\.FileCheck",
    ),
    reason(
        "symbolic sizes: shapes are known when an operation is called",
        r"torch\.(Sym\w+|sym_\w+)",
    ),
    reason(
        "storages as objects, and the types that they had",
        r"torch\.(\w*Storage(Base)?|is_storage)",
        r"torch\.Tensor\.(storage|storage_type|untyped_storage|const_data_ptr)",
    ),
    reason(
        "how PyTorch is made: dispatch, hooks for subclasses, memory formats, checks of its builds",
        r"torch\.(Dispatch\w+|DisableTorchFunction\w*|ExcludeDispatch\w+|FatalError|Tag)",
        r"torch\.(classproperty|get_file_path|prepare_multiprocessing_environment|init_num_threads)",
        r"torch\.(profiler_allow\w+|thread_safe_generator|PRIVATE_OPS|USE_\w+|AVG|SUM)",
        r"torch(\.\w+)*\.(has_torch_function\w*|TYPE_CHECKING|assert_int_or_pair|factory_kwargs)",
        r"torch\.Tensor\.(as_subclass|module_load|grad_dtype)|torch(\.Tensor)?\.hash_tensor",
        r"torch\.autograd\.(DeviceType|NestedIOFunction|Profiler\w+|SavedTensor|kineto_available)",
        r"torch\.autograd\.(enforce_grad_layout_policy|is_view_replay_enabled)",
        r"torch\.autograd\.(is|set)_multithreading_enabled",
        r"torch\.nn\.utils\.convert_conv[23]d_weight_memory_format",
        r"torch\.func\.debug_unwrap|torch\.optim\.swap_in_\w+",
        r"torch\.nn\.utils\.parametrize\.(OpaqueBase|is_opaque_\w+|get_swap_\w+)",
        r"torch\.nn\.utils\.rnn\.(PackedSequence_|bind)",
        r"torch\.utils\.checkpoint\.(DefaultDeviceType|GraphExecGroup|LoggingTensorMode|capture_logs)",
        r"torch\.utils\.checkpoint\.(SavedTensor|[gs]et_device_states|detach_variable)",
        r"torch\.utils\.checkpoint\.(check_backward_validity|set_checkpoint_(debug|early)_\w+)",
    ),
    reason(
        "the inner steps of layers that PyTorch shows by accident; use the layers",
        r"torch\.(batch_norm_\w+|native_\w+|convolution|conv_tbc|norm_except_dim|constant_pad_nd)",
        r"torch(\.Tensor)?\.(slice_inverse|unsafe_split_with_sizes)|torch\.affine_grid_generator",
        r"torch\.(grid_sampler\w*|max_pool1d_with_indices|(rnn_(relu|tanh)|gru|lstm)(_cell)?)",
        r"torch\.nn\.functional\.\w+_with_indices|torch\.nn\.functional\.conv_tbc",
        r"torch\.nn\.functional\.grouped_mm|torch\.segment_reduce",
        r"torch\.Tensor\.index",
    ),
    reason(
        "twins of functions in nn.functional and linalg, with their inner arguments; use those",
        r"torch\.(batch|group|instance|layer|rms|nuclear|frobenius)_norm|torch\.rrelu_",
        r"torch\.((feature_)?(alpha_)?dropout_?|embedding(_bag|_renorm_)?|kl_div)",
        r"torch\.(binary_cross_entropy_with_logits|poisson_nll_loss|triplet_margin_loss)",
        r"torch\.((cosine|hinge)_embedding_loss|margin_ranking_loss)",
    ),
    reason(
        "tensors that carry a derivative along; forward mode is of functions here (`func.jvp`)",
        r"torch\.autograd\.forward_ad\.\w+",
    ),
    reason(
        "the form of checkpoints that runs a backward within a backward (`use_reentrant`)",
        r"torch\.utils\.checkpoint\.CheckpointFunction",
    ),
    reason(
        "a base class for entropies by gradients; each distribution has its own formula",
        r"torch\.distributions\.ExponentialFamily",
    ),
    reason(
        "tensors in memory that several processes share: a write may give a tensor new memory here",
        r"torch\.Tensor\.(share_memory_|is_shared)|torch\.from_file",
    ),
    reason(
        "routines of LAPACK that NumPy does not show",
        r"torch\.linalg\.ldl_\w+",
    ),
    reason(
        "names that PyTorch itself has given up",
        r"torch(\.Tensor)?\.(lstsq|solve|symeig|matrix_rank|triangular_solve|lu(_solve)?)",
        r"torch\.Tensor\.(volatile|reinforce|resize|resize_as|new|name|eig)",
        r"torch\.nn\.init\.(constant|dirac|eye|kaiming_\w+l|kaiming_uniform|normal|orthogonal)",
        r"torch\.nn\.init\.(sparse|uniform|xavier_normal|xavier_uniform)",
        r"torch\.nn\.(Container|NLLLoss2d)|torch\.nn\.utils\.clip_grad_norm",
        r"torch\.legacy_contiguous_format|torch\.testing\.assert_allclose",
    ),
    reason(
        "data pipes, which PyTorch has given up",
        r"torch\.utils\.data\.(\w*DataPipe\w*|DataChunk|argument_validation|functional_datapipe)",
        r"torch\.utils\.data\.(guaranteed_datapipes\w+|non_deterministic|runtime_validation\w*)",
    ),
    reason("not yet", *_not_yet()),
)


def torch_names() -> list[str]:
    lines = NAMES_FILE.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def torch_version() -> str:
    found = re.search(r"PyTorch ([\d.]+\d)", NAMES_FILE.read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def is_here(name: str) -> bool:
    """Whether `grad` has what PyTorch calls `name`."""
    owner: Any = grad
    for part in name.split(".")[1:]:
        if not hasattr(owner, part) and hasattr(owner, "__path__"):
            _import(f"{owner.__name__}.{part}")
        if not hasattr(owner, part):
            return False
        owner = getattr(owner, part)
    return True


def _import(path: str) -> None:
    """Import a module by name, if there is one."""
    if importlib.util.find_spec(path) is not None:
        importlib.import_module(path)


def why_not(name: str) -> str | None:
    """The reason why `name` is not here, if one is given."""
    return next((r.text for r in REASONS if r.pattern.fullmatch(name)), None)


def unexplained() -> list[str]:
    """Names that are neither here nor given a reason."""
    return [name for name in torch_names() if not is_here(name) and why_not(name) is None]


def unused() -> list[str]:
    """Reasons for which no name is missing any more, by the patterns they are made of."""
    missing = [name for name in torch_names() if not is_here(name)]
    patterns = [part for r in REASONS for part in r.pattern.pattern.split("|torch")]
    texts = [part if part.startswith("torch") else f"torch{part}" for part in patterns]
    return [text for text in texts if not any(re.fullmatch(text, name) for name in missing)]


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name.rpartition('.')[2]}`" for name in names)


def page() -> str:
    """docs/coverage.md."""
    here: dict[str, list[str]] = defaultdict(list)
    missing: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in torch_names():
        namespace = name.rpartition(".")[0]
        if is_here(name):
            here[namespace].append(name)
        else:
            missing[namespace][why_not(name) or "no reason"].append(name)
    order = [r.text for r in REASONS]
    lines = [HEAD.format(version=torch_version())]
    for space in NAMESPACES:
        counts = len(here[space]), sum(map(len, missing[space].values()))
        later = len(missing[space].get("not yet", ()))
        lines.append(f"| `{space}` | {counts[0]} | {later} | {counts[1] - later} |")
    for space in NAMESPACES:
        lines += ["", f"## `{space}`", "", f"Here: {_list(here[space]) or 'nothing'}."]
        if missing[space]:
            lines += ["", "| why not | names |", "|---|---|"]
            reasons = sorted(missing[space].items(), key=lambda item: order.index(item[0]))
            lines += [f"| {text} | {_list(names)} |" for text, names in reasons]
    return "\n".join(lines) + "\n"


HEAD = """\
# Coverage of PyTorch's public names

What there is here of the public names of PyTorch {version}, and why the rest is not there. Where a
name is here but does something else, [differences.md](differences.md) says so. Written by
`python -m tools.coverage`.

| namespace | here | not yet | not planned |
|---|---|---|---|"""


def main() -> int:
    """Write the page, unless a name has no reason."""
    names = unexplained()
    for name in names:
        print(f"{name}: neither here nor given a reason in tools/coverage.py")
    for text in unused():
        print(f"no name is missing any more that matches {text}")
    if not names:
        PAGE.write_text(page(), encoding="utf-8")
        print(f"{PAGE}: written")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
