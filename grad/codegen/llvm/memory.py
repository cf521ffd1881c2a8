"""Memory instructions beside plain loads and stores: an address for each lane, ways
past the caches.

`loops.py` calls `stream_store` for stores that `kernel/streams.py` has marked, whole vectors only,
and `end_streams` at the end of a function: such stores of x86 may become visible later than those
that follow them, and the thread pool tells others that a chunk is done with an ordinary one.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value, lanes_of, mangled

LINE_BYTES = 64
_MARK = "!{i32 1}"


def scalar_load(b: Builder, pointer: Value, storage: str, size: int, guard: Value | None) -> Value:
    """One element, or zero where `guard` does not hold."""
    if guard is None:
        return b.load(storage, pointer, size)
    one = f"<1 x {storage}>"
    mask = b.convert("bitcast", guard, "<1 x i1>")
    loaded = b.masked_load(one, pointer, size, mask, Value("zeroinitializer", one))
    return b.emit(storage, f"extractelement {one} {loaded.text}, i32 0")


def gather(b: Builder, pointers: Value, type_name: str, size: int, mask: Value) -> Value:
    """One element from each address where `mask` holds, zeros elsewhere."""
    lanes = lanes_of(type_name)
    name = f"llvm.masked.gather.{mangled(type_name)}.v{lanes}p0"
    b.declare(name, f"{type_name} (<{lanes} x ptr>, {mask.type}, {type_name})")
    return b.emit(
        type_name,
        f"call {type_name} @{name}(<{lanes} x ptr> align {size} {pointers.text}, "
        f"{mask.type} {mask.text}, {type_name} zeroinitializer)",
    )


def scatter(b: Builder, value: Value, pointers: Value, size: int, mask: Value) -> None:
    """Store each lane at its own address where `mask` holds."""
    lanes = lanes_of(value.type)
    name = f"llvm.masked.scatter.{mangled(value.type)}.v{lanes}p0"
    b.declare(name, f"void ({value.type}, <{lanes} x ptr>, {mask.type})")
    b.line(
        f"call void @{name}({value.type} {value.text}, <{lanes} x ptr> align {size} "
        f"{pointers.text}, {mask.type} {mask.text})"
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
