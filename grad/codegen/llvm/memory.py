"""Memory instructions beside plain loads and stores: an address for each lane, ways
past the caches.

`loops.py` calls `stream_store` for stores that `kernel/streams.py` has marked, whole vectors only,
and `end_streams` at the end of a function: such stores of x86 may become visible later than those
that follow them, and the thread pool tells others that a chunk is done with an ordinary one.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value, element_of, lanes_of, mangled
from grad.codegen.llvm.lanes import known_mask, lane, reverse
from grad.graph.index import Variable
from grad.kernel.ir import Store
from grad.kernel.streams import LINE_BYTES, begins_lines

# AVX2 has masks for vectors of so many bytes, of elements of as many at least.
MASKED_BYTES, MASKED_ITEM_BYTES = 32, 4
_MARK = "!{i32 1}"


def where_held(b: Builder, pointer: Value, guard: Value, nbytes: int) -> Value:
    """`pointer` where `guard` holds, and zeros to read elsewhere.

    A masked load reads nothing under an empty mask, but takes hundreds of cycles to find that out
    where there is no memory at its address.
    """
    zeros = b.table("i64", [0] * -(-nbytes // 8))
    return b.select(guard, pointer, zeros)


def scalar_load(b: Builder, pointer: Value, storage: str, size: int, guard: Value | None) -> Value:
    """One element, or zero where `guard` does not hold."""
    if guard is not None:
        pointer = where_held(b, pointer, guard, size)
    return b.load(storage, pointer, size)


def row_load(
    b: Builder, pointer: Value, type_name: str, size: int, mask: Value | None, backwards: bool
) -> Value:
    """Elements side by side, from the last lane's on if `backwards`."""
    if mask is None:
        row = b.load(type_name, pointer, size)
    else:
        alive = reverse(b, mask) if backwards else mask
        row = b.masked_load(type_name, pointer, size, alive, Value("zeroinitializer", type_name))
    return reverse(b, row) if backwards else row


def row_store(
    b: Builder, value: Value, pointer: Value, size: int, mask: Value, backwards: bool
) -> None:
    """Store elements side by side where `mask` holds, from the last lane's on if `backwards`.

    A single lane that is known is stored as a scalar: of a value that has been made narrower, LLVM
    22 would store all of the wide one.
    """
    known = known_mask(mask)
    if known is not None and sum(known) == 1:
        number = known.index(True)
        place = len(known) - 1 - number if backwards else number
        b.store(lane(b, value, number), b.gep(element_of(value.type), pointer, place), size)
    elif backwards:
        b.masked_store(reverse(b, value), pointer, size, reverse(b, mask))
    else:
        b.masked_store(value, pointer, size, mask)


def gather(b: Builder, pointers: Value, type_name: str, size: int, mask: Value | None) -> Value:
    """One element from each address where `mask` holds, zeros elsewhere."""
    lanes = lanes_of(type_name)
    mask = mask or b.const(f"<{lanes} x i1>", True)
    name = f"llvm.masked.gather.{mangled(type_name)}.v{lanes}p0"
    b.declare(name, f"{type_name} (<{lanes} x ptr>, {mask.type}, {type_name})")
    return b.emit(
        type_name,
        f"call {type_name} @{name}(<{lanes} x ptr> align {size} {pointers.text}, "
        f"{mask.type} {mask.text}, {type_name} zeroinitializer)",
    )


def spare(b: Builder, pointer: Value, held: Value | None, storage: str) -> Value:
    """`pointer` where `held` (None: always), else that of memory nobody reads: storing there takes
    less time than a jump around the store that cannot be foreseen.
    """
    return pointer if held is None else b.select(held, pointer, _nobodys(b, storage))


def _nobodys(b: Builder, storage: str) -> Value:
    """A place on the stack; LLVM must not know that nobody reads it, or it would jump again."""
    return opaque(b, b.alloca(storage, 1))


def opaque(b: Builder, pointer: Value) -> Value:
    """`pointer`, of which LLVM no longer knows where it comes from. It costs no instruction."""
    return b.emit("ptr", f'call ptr asm "", "=r,0"(ptr {pointer.text})')


def scatter(b: Builder, value: Value, pointers: Value, size: int, mask: Value | None) -> None:
    """Store each lane at its own address where `mask` holds."""
    lanes = lanes_of(value.type)
    if mask is not None and "avx512f" not in b.features:
        # LLVM would jump around each store.
        places = b.select(mask, pointers, b.splat(_nobodys(b, element_of(value.type)), lanes))
        for number in range(lanes):
            b.store(lane(b, value, number), lane(b, places, number), size)
        return
    mask = mask or b.const(f"<{lanes} x i1>", True)
    name = f"llvm.masked.scatter.{mangled(value.type)}.v{lanes}p0"
    b.declare(name, f"void ({value.type}, <{lanes} x ptr>, {mask.type})")
    b.line(
        f"call void @{name}({value.type} {value.text}, <{lanes} x ptr> align {size} "
        f"{pointers.text}, {mask.type} {mask.text})"
    )


def passes_caches(store: Store, lanes: Variable, itemsize: int, vector_bytes: int) -> bool:
    """Whether stores of whole vectors along `lanes` go past the caches: those that are marked, and,
    where rows begin anywhere, if this processor has masks for what is no whole line. Those for
    narrower elements, and shorter vectors, store one by one.
    """
    if not store.streams or begins_lines(store.index, lanes, itemsize):
        return store.streams
    return vector_bytes >= MASKED_BYTES and (
        vector_bytes >= LINE_BYTES or itemsize >= MASKED_ITEM_BYTES
    )


def stream_store(b: Builder, value: Value, pointer: Value, size: int) -> None:
    """Store a vector of elements of `size` bytes at a multiple of its own size, or of a line's."""
    size *= lanes_of(value.type)
    mark = b.constants.setdefault(_MARK, f"!{len(b.constants)}")
    b.store(value, pointer, min(size, LINE_BYTES), f", !nontemporal {mark}")


def end_streams(b: Builder) -> None:
    """Wait for the stores of this function that went past the caches, if there are any."""
    if _MARK in b.constants and "sse2" in b.features:
        b.call("void", "llvm.x86.sse.sfence")
