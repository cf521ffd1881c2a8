"""Matrix products against NumPy in float64: layouts, batches, vector widths, special values, pieces
of work."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import llvmlite.binding as llvm
import ml_dtypes
import numpy as np
import pytest

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.emit import (
    Choice,
    Contraction,
    Kind,
    Problem,
    choose,
    emit,
    store_epilogue,
)
from grad.codegen.llvm.contraction.plan import Tuning
from grad.codegen.llvm.contraction.search import CANDIDATES
from grad.dtype import as_dtype

pytestmark = pytest.mark.slow  # kept out of `make check`

SLOTS_BEFORE = 6  # out, row stride, three batch strides, bias
ELEMENTS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
NUMPY_TYPES = {"float": np.float32, "double": np.float64, "i32": np.int32, "i64": np.int64}


@dataclass(frozen=True)
class Machine:
    """A kind of processor to emit for; the host must have at least its features."""

    name: str
    vector_bytes: int
    without: tuple[str, ...]  # beginnings of the names of features to leave out


MACHINES = {
    m.name: m
    for m in (
        Machine("widest", 64, ()),
        Machine("avx2", 32, ("avx512", "evex512", "avx10")),
        Machine("generic", 16, ("avx", "fma", "f16c", "vaes", "vpclmulqdq", "evex512", "xop")),
    )
}


@functools.cache
def target(machine: Machine) -> tuple[llvm.TargetMachine, frozenset[str]]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = dict(llvm.get_host_cpu_features())
    features = {f: on and not f.startswith(machine.without or ("-",)) for f, on in features.items()}
    text = ",".join(f"{'+' if on else '-'}{f}" for f, on in features.items())
    cpu = llvm.get_host_cpu_name() if machine.name == "widest" else "x86-64"
    created = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=text, opt=3)
    return created, frozenset(f for f, on in features.items() if on)


@functools.cache
def compiled(machine: Machine, text: str) -> tuple[llvm.ExecutionEngine, Callable[..., None]]:
    module = llvm.parse_assembly(text)
    module.verify()
    engine = llvm.create_mcjit_compiler(module, target(machine)[0])
    engine.finalize_object()
    prototype = ctypes.CFUNCTYPE(
        None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64
    )
    return engine, prototype(engine.get_function_address("product"))


def supported(machine: Machine) -> bool:
    if llvm.get_process_triple().split("-")[0] != "x86_64":
        return machine.vector_bytes == 16
    needed = {64: "avx512f", 32: "avx2", 16: "sse2"}[machine.vector_bytes]
    return bool(llvm.get_host_cpu_features().get(needed))


@pytest.fixture(params=list(MACHINES))
def machine(request: pytest.FixtureRequest) -> Machine:
    chosen = MACHINES[request.param]
    if not supported(chosen):
        pytest.skip(f"this processor has no {chosen.vector_bytes}-byte vectors")
    return chosen


def element_strides(array: np.ndarray) -> tuple[int, ...]:
    return tuple(s // array.itemsize for s in array.strides)


def plan(
    machine: Machine,
    a: np.ndarray,
    b: np.ndarray,
    l2_bytes: int,
    element: str | None = None,
    tuning: Tuning | None = None,
) -> Choice:
    *batch, m, k = a.shape
    features = target(machine)[1]
    problem = Problem.on(
        features,
        machine.vector_bytes,
        l2_bytes,
        element or ELEMENTS[a.dtype],
        (*batch, m, b.shape[-1], k),
        element_strides(a),
        element_strides(b),
        as_dtype(a.dtype),
        as_dtype(b.dtype),
    )
    return choose(problem, tuning)


def bias_relu(element: str):
    """``max(accumulator + bias[column], 0)`` with the bias pointer in slot 5; NaN goes through."""
    size = 4 if element == "float" else 8

    def apply(b: Builder, row: Value, column: Value, accumulator: Value) -> Value:
        bias = b.load("ptr", b.gep("i64", Value("%args", "ptr"), 5), 8)
        # The bias array of the tests is padded, so a full vector may be read.
        value = b.fadd(accumulator, b.load(accumulator.type, b.gep(element, bias, column), size))
        return b.select(b.fcmp("olt", value, 0.0), 0.0, value)

    return apply


def product(
    machine: Machine,
    a: np.ndarray,
    b: np.ndarray,
    bias: np.ndarray | None = None,
    l2_bytes: int = 1 << 20,
    order: Sequence[int] | None = None,
    element: str | None = None,
    tuning: Tuning | None = None,
) -> tuple[np.ndarray, Choice]:
    """Run the emitted code over `a` (batch..., m, k) and `b` (batch..., k, n)."""
    element = element or ELEMENTS[a.dtype]
    choice = plan(machine, a, b, l2_bytes, element, tuning)
    apply = None if bias is None else bias_relu(element)
    text = emit(
        choice.structure,
        "product",
        target(machine)[1],
        machine.vector_bytes,
        store_epilogue(element, 0, apply),
        SLOTS_BEFORE,
    )
    _, function = compiled(machine, text)
    shape = (*a.shape[:-1], b.shape[-1])
    guard = 64
    storage = np.full(int(np.prod(shape)) + 2 * guard, 777, NUMPY_TYPES[element])
    out = storage[guard : len(storage) - guard].reshape(shape)
    workers = 3
    scratch = np.zeros(workers * choice.scratch_bytes + 64, np.uint8)
    scratch[:] = 0xFF  # not-a-number wherever it is read before it is written
    aligned = scratch.ctypes.data + -scratch.ctypes.data % 64
    padded = np.zeros(b.shape[-1] + 64, NUMPY_TYPES[element])
    if bias is not None:
        padded[: len(bias)] = bias
    strides = [*element_strides(out)[-2:-1], *element_strides(out)[:-2], 0, 0, 0][:4]
    slots = [out.ctypes.data, *strides, padded.ctypes.data, a.ctypes.data, b.ctypes.data, aligned]
    arguments = np.array([*slots, *choice.arguments], np.int64)
    for number, piece in enumerate(range(choice.items) if order is None else order):
        function(arguments.ctypes.data, piece, piece + 1, number % workers)
    assert (storage[:guard] == 777).all() and (storage[len(storage) - guard :] == 777).all()
    return out, choice


def check(actual: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> None:
    """Compare with a wider type, within what rounding may do at worst: where all products of a sum
    are equal, its additions round to the same side.
    """
    wide_type = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}[a.dtype]
    wide = a.astype(wide_type), b.astype(wide_type)
    expected = np.matmul(*wide)
    if bias is not None:
        expected = np.maximum(expected + bias.astype(wide_type), 0)
    bound = np.matmul(np.abs(wide[0]), np.abs(wide[1])) + (0 if bias is None else np.abs(bias))
    tolerance = np.finfo(a.dtype).eps / 2 * (4 + a.shape[-1]) * bound + 1e-300
    assert (np.abs(actual - expected) <= tolerance).all()


def strided(rng: np.random.Generator, shape: tuple[int, ...], layout: str, dtype) -> np.ndarray:
    """Random values with the last two axes laid out as named."""

    def values(*sizes: int) -> np.ndarray:
        return rng.standard_normal(sizes).astype(dtype)

    *batch, rows, columns = shape
    return {
        "rows": lambda: values(*batch, rows, columns),
        "columns": lambda: values(*batch, columns, rows).swapaxes(-1, -2),
        "padded": lambda: values(*batch, rows, columns + 5)[..., :columns],
        "padded columns": lambda: values(*batch, columns, rows + 3)[..., :rows].swapaxes(-1, -2),
        "strided": lambda: values(*batch, 2 * rows, 3 * columns)[..., ::2, ::3],
        "reversed": lambda: values(*batch, rows, columns)[..., ::-1, ::-1],
        "reversed rows": lambda: values(*batch, rows, columns)[..., ::-1, :],
        "one row": lambda: np.broadcast_to(values(*batch, 1, columns), shape),
        "one column": lambda: np.broadcast_to(values(*batch, rows, 1), shape),
    }[layout]()


LAYOUTS = (
    "rows",
    "columns",
    "padded",
    "padded columns",
    "strided",
    "reversed",
    "reversed rows",
    "one row",
    "one column",
)
SIZES = (1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 33, 48, 61, 64, 70)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("a_layout", LAYOUTS)
@pytest.mark.parametrize("b_layout", LAYOUTS)
def test_layouts(machine: Machine, dtype, a_layout: str, b_layout: str) -> None:
    rng = np.random.default_rng([LAYOUTS.index(a_layout), LAYOUTS.index(b_layout)])
    m, n, k = (int(s) for s in rng.choice(SIZES, 3))
    a, b = strided(rng, (m, k), a_layout, dtype), strided(rng, (k, n), b_layout, dtype)
    check(product(machine, a, b)[0], a, b)


@pytest.mark.parametrize("seed", range(12))
def test_random_shapes(machine: Machine, seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n, k = (int(s) for s in rng.choice(SIZES, 3))
    dtype = (np.float32, np.float64)[seed % 2]
    a_layout, b_layout = (str(s) for s in rng.choice(LAYOUTS, 2))
    a, b = strided(rng, (m, k), a_layout, dtype), strided(rng, (k, n), b_layout, dtype)
    bias = rng.standard_normal(n).astype(dtype)
    out, choice = product(machine, a, b, bias)
    check(out, a, b, bias)
    backwards, _ = product(machine, a, b, bias, order=range(choice.items)[::-1])
    assert (out == backwards).all()


@pytest.mark.parametrize("b_layout", ["rows", "columns", "strided"])
@pytest.mark.parametrize("a_layout", ["rows", "columns", "strided"])
@pytest.mark.parametrize("shape", [(47, 1100, 70), (300, 530, 33), (5, 1030, 200)])
def test_several_blocks(machine: Machine, a_layout: str, b_layout: str, shape) -> None:
    """Sums over several blocks of k; a tiny cache makes several blocks of columns too."""
    rng = np.random.default_rng(0)
    m, k, n = shape
    a, b = strided(rng, (m, k), a_layout, np.float32), strided(rng, (k, n), b_layout, np.float32)
    bias = rng.standard_normal(n).astype(np.float32)
    out, choice = product(machine, a, b, bias, l2_bytes=1 << 16)
    assert choice.structure.split_depth
    check(out, a, b, bias)
    order = np.random.default_rng(1).permutation(choice.items).tolist()
    assert (product(machine, a, b, bias, l2_bytes=1 << 16, order=order)[0] == out).all()


@pytest.mark.parametrize("tuning", CANDIDATES, ids=str)
@pytest.mark.parametrize("shape", [(47, 1100, 70), (300, 530, 33), (64, 200, 64)])
def test_every_tuning_is_right(machine: Machine, tuning: Tuning, shape) -> None:
    rng = np.random.default_rng(6)
    m, k, n = shape
    a, b = strided(rng, (m, k), "rows", np.float32), strided(rng, (k, n), "rows", np.float32)
    check(product(machine, a, b, tuning=tuning)[0], a, b)


CONVERSIONS = {
    "int8": (np.int8, np.int8, "i32"),
    "uint8 and int8": (np.uint8, np.int8, "i32"),
    "int64": (np.int64, np.int64, "i64"),
    "float16": (np.float16, np.float16, "float"),
    "bfloat16": (ml_dtypes.bfloat16, ml_dtypes.bfloat16, "float"),
    "weights in int8": (np.float32, np.int8, "float"),
    "float32 in float64": (np.float32, np.float64, "double"),
}


@pytest.mark.parametrize(
    "a_layout,b_layout",
    [("padded", "rows"), ("columns", "padded columns"), ("reversed", "strided")],
)
@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.parametrize("shape", [(21, 37, 45), (1, 70, 90), (90, 70, 2), (13, 1100, 33)])
def test_operands_of_other_types(machine: Machine, shape, name, a_layout, b_layout) -> None:
    """They are converted as they are read: the product is that of the converted values."""
    rng = np.random.default_rng(5)
    m, k, n = shape
    a_type, b_type, element = CONVERSIONS[name]
    a = strided(rng, (m, k), a_layout, np.int8 if a_type is np.uint8 else a_type)
    a = a.view(a_type)
    b = strided(rng, (k, n), b_layout, b_type)
    wide = NUMPY_TYPES[element]
    out = product(machine, a, b, element=element)[0]
    if element.startswith("i"):
        assert (out == np.matmul(a.astype(wide), b.astype(wide))).all()
    else:
        check(out, a.astype(wide), b.astype(wide))


BATCHES = {
    "one axis": ((3, 10, 20), (3, 20, 33), (3,)),
    "two axes": ((2, 3, 7, 9), (2, 3, 9, 18), (2, 3)),
    "three axes": ((2, 1, 2, 5, 6), (2, 3, 2, 6, 7), (2, 3, 2)),
    "a shared": ((1, 10, 20), (4, 20, 33), (4,)),
    "b shared": ((4, 10, 20), (1, 20, 33), (4,)),
    "crossed": ((3, 1, 10, 20), (1, 4, 20, 33), (3, 4)),
    "one row": ((5, 1, 40), (5, 40, 50), (5,)),
    "one column": ((5, 40, 50), (5, 50, 1), (5,)),
    "many small": ((50, 3, 2), (50, 2, 3), (50,)),
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches(machine: Machine, name: str) -> None:
    rng = np.random.default_rng(2)
    a_shape, b_shape, batch = BATCHES[name]
    a = np.broadcast_to(rng.standard_normal(a_shape).astype(np.float32), (*batch, *a_shape[-2:]))
    b = np.broadcast_to(rng.standard_normal(b_shape).astype(np.float32), (*batch, *b_shape[-2:]))
    check(product(machine, a, b)[0], a, b)


@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("shape", [(0, 5, 4), (4, 5, 0), (0, 0, 0)])
def test_nothing_to_do(machine: Machine, shape: tuple[int, int, int], layout: str) -> None:
    m, k, n = shape
    a, b = np.zeros((m, k), np.float32), np.zeros((k, n), np.float32)
    assert plan(machine, a, b, 1 << 20).items == 0
    assert (
        plan(
            machine, np.zeros((0, 2, 3), np.float32), np.zeros((0, 3, 2), np.float32), 1 << 20
        ).items
        == 0
    )


@pytest.mark.parametrize("m,n", [(1, 1), (1, 40), (40, 1), (33, 50)])
def test_empty_sum_is_zero(machine: Machine, m: int, n: int) -> None:
    a, b = np.zeros((m, 0), np.float32), np.zeros((0, n), np.float32)
    assert (product(machine, a, b)[0] == 0).all()
    bias = np.arange(n, dtype=np.float32)
    assert (product(machine, a, b, bias)[0] == bias).all()


@pytest.mark.parametrize("b_layout", ["rows", "columns", "strided"])
@pytest.mark.parametrize("a_layout", ["rows", "columns", "strided"])
@pytest.mark.parametrize("m,n,k", [(9, 21, 19), (1, 37, 21), (37, 1, 21)])
def test_special_values(
    machine: Machine, m: int, n: int, k: int, a_layout: str, b_layout: str
) -> None:
    """One NaN spoils its own row, one infinity its own column, and padding adds neither."""
    rng = np.random.default_rng(3)
    a, b = strided(rng, (m, k), a_layout, np.float32), strided(rng, (k, n), b_layout, np.float32)
    clean = np.matmul(a.astype(np.float64), b.astype(np.float64))
    a[m // 2, k - 1] = np.nan
    b[k - 1, n - 1] = np.inf
    out = product(machine, a, b)[0]
    assert np.isnan(out[m // 2]).all()
    others = np.delete(out, m // 2, 0)
    assert np.isinf(others[:, n - 1]).all()
    np.testing.assert_allclose(
        others[:, : n - 1], np.delete(clean, m // 2, 0)[:, : n - 1], rtol=1e-3, atol=1e-4
    )


KINDS = {
    "row": ((1, 64), (64, 512), "rows", Kind.STREAM, False),
    "row of a transposed matrix": ((1, 64), (64, 512), "columns", Kind.DOT, False),
    "column": ((512, 64), (64, 1), "rows", Kind.DOT, True),
    "square": ((64, 64), (64, 64), "rows", Kind.TILED, False),
}


@pytest.mark.parametrize("name", KINDS)
def test_kind(machine: Machine, name: str) -> None:
    a_shape, b_shape, b_layout, kind, swapped = KINDS[name]
    rng = np.random.default_rng(4)
    a, b = strided(rng, a_shape, "rows", np.float32), strided(rng, b_shape, b_layout, np.float32)
    structure = plan(machine, a, b, 1 << 20).structure
    assert (structure.kind, structure.swapped) == (kind, swapped)


def test_shapes_share_a_structure(machine: Machine) -> None:
    """Sizes are run-time integers: only what changes the code is part of the structure."""

    def structure(m: int, k: int, n: int) -> Contraction:
        return plan(
            machine, np.zeros((m, k), np.float32), np.zeros((k, n), np.float32), 1 << 20
        ).structure

    assert structure(96, 100, 128) == structure(192, 160, 128)
    assert structure(1, 300, 1024) == structure(1, 700, 512)


@pytest.mark.parametrize("a_layout", ["rows", "columns"])
@pytest.mark.parametrize("shape", [(100, 300, 512), (103, 257, 515), (16, 40, 700)])
def test_first_tile_packs(machine: Machine, shape: tuple[int, int, int], a_layout: str) -> None:
    """Where all rows are one block, tiles pack B, whether or not A is packed before; the rows of
    the next tile are asked for where they are read in place.
    """
    m, k, n = shape
    rng = np.random.default_rng(7)
    a, b = (
        strided(rng, (2, m, k), a_layout, np.float32),
        strided(rng, (2, k, n), "rows", np.float32),
    )
    out, choice = product(machine, a, b, l2_bytes=1 << 18, tuning=Tuning(pack_b=True))
    masks_are_slow = n % (machine.vector_bytes // 4) != 0 and machine.vector_bytes < 32
    assert bool(choice.structure.packing_rows) != masks_are_slow
    assert choice.structure.prefetch_rows == (a_layout == "rows" and m > 16)
    check(out, a, b)
    others = product(machine, a, b, l2_bytes=1 << 18, order=range(choice.items)[::-1])[0]
    check(others, a, b)


def test_blocks_cover_a_product(machine: Machine) -> None:
    """Pieces of every cut differ by one tile and one panel at most, and none is left out."""
    rng = np.random.default_rng(8)
    for m, k, n in ((139, 139, 139), (460, 70, 460), (300, 90, 80)):
        a, b = strided(rng, (m, k), "columns", np.float32), strided(rng, (k, n), "rows", np.float32)
        out, choice = product(machine, a, b)
        assert choice.items > 1
        check(out, a, b)


def test_pieces_of_large_products(machine: Machine) -> None:
    """Enough pieces for a few threads, and each large enough to be worth a thread's while."""
    for shape in ((512, 512, 512), (2048, 2048, 2048), (128, 768, 3072), (1, 4096, 4096)):
        m, k, n = shape
        choice = plan(machine, np.zeros((m, k), np.float32), np.zeros((k, n), np.float32), 1 << 20)
        assert choice.items >= 4
        assert 2 * m * k * n // choice.items >= 1_000_000
        assert choice.grain == 1
