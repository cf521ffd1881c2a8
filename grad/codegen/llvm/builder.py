"""Write LLVM IR text, one function at a time.

`Builder` appends instructions and hands back `Value`s (a name and its LLVM type); `Builder.loop`
writes a counted loop with carried values (phis), which is the only control flow that kernels need.
Types of vectors follow from a lane count: one lane means a scalar, so the same emitting code serves
both. `elementary/` builds functions such as exp on top of this, `loops.py` whole loop nests,
`contraction/emit.py` matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from grad.codegen.llvm.literals import literal
from grad.codegen.llvm.open_sizes import OpenSizes
from grad.graph.sizes import Size, is_fixed


class Value(NamedTuple):
    """An operand: its text (``%7``, ``0``, ``splat (float ...)``) and its LLVM type."""

    text: str
    type: str


def vector_type(element: str, lanes: int) -> str:
    """``float`` for one lane, ``<16 x float>`` for 16."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


def lanes_of(type_name: str) -> int:
    """How many lanes `type_name` has; 1 for a scalar."""
    return int(type_name[1 : type_name.index(" ")]) if type_name[0] == "<" else 1


def element_of(type_name: str) -> str:
    """The element type of a vector type, or the scalar type itself."""
    return type_name[type_name.index("x ") + 2 : -1] if type_name[0] == "<" else type_name


def with_element(type_name: str, element: str) -> str:
    """The type with `element` in place of its own, and as many lanes."""
    return vector_type(element, lanes_of(type_name))


class Builder:
    """The body of one LLVM function under construction.

    Args:
        features: CPU feature names that are present (``{"avx512f", "fma", ...}``), for
            target-specific forms.
        vector_bytes: bytes of the widest vector register to plan for (64, 32 or 16).
        open_sizes: sizes that are arguments, for all functions of a module; None fixes them.
    """

    def __init__(
        self,
        features: frozenset[str] = frozenset(),
        vector_bytes: int = 16,
        open_sizes: OpenSizes | None = None,
    ) -> None:
        self.features = features
        self.vector_bytes = vector_bytes
        self.open_sizes = open_sizes
        self.header: dict[str, str] = {}
        self.lines: list[str] = []
        self.declarations: dict[str, str] = {}
        self.constants: dict[str, str] = {}
        self.arrays: list[str] = []
        self._count = 0
        self._block = "entry"

    def sibling(self) -> Builder:
        """A builder for another function of the same module: it shares declarations and tables."""
        other = Builder(self.features, self.vector_bytes, self.open_sizes)
        other.declarations, other.constants = self.declarations, self.constants
        return other

    # -- raw text ----------------------------------------------------------------------------------
    def fresh(self, prefix: str = "v") -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def line(self, text: str) -> None:
        self.lines.append("  " + text)

    def emit(self, type_name: str, text: str) -> Value:
        """Append ``%n = text`` and return it as a value of `type_name`."""
        name = "%" + self.fresh()
        self.lines.append(f"  {name} = {text}")
        return Value(name, type_name)

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self._block = name

    @property
    def block(self) -> str:
        """Label of the block being written, for phis."""
        return self._block

    # -- constants ---------------------------------------------------------------------------------
    def const(self, type_name: str, value: float | int | bool) -> Value:
        """A constant of a scalar or vector type (a splat)."""
        if isinstance(value, Size):
            number, element = self.size(cast(int, value)), element_of(type_name)
            number = number if element == "i64" else self.convert("trunc", number, element)
            return self.splat(number, lanes_of(type_name))
        text = literal(element_of(type_name), value)
        if type_name[0] == "<":
            text = f"splat ({element_of(type_name)} {text})"
        return Value(text, type_name)

    def size(self, number: int) -> Value:
        """A size as i64: a constant, or, if it is not fixed, an argument of the kernel."""
        if is_fixed(number) or self.open_sizes is None:
            return Value(str(number), "i64")  # which fixes it
        name, text = self.open_sizes.loaded(number)
        self.header[name] = text  # at the beginning of the function: it is known everywhere
        return Value(name, "i64")

    def like(self, value: Value | float | int | bool, other: Value) -> Value:
        """`value` itself, or a constant of `other`'s type when it is a Python number."""
        return value if isinstance(value, Value) else self.const(other.type, value)

    def vector(self, element: str, values: Sequence[float | int]) -> Value:
        """A constant vector, one literal a lane."""
        body = ", ".join(f"{element} {literal(element, v)}" for v in values)
        return Value(f"<{body}>", vector_type(element, len(values)))

    def table(self, element: str, values: Sequence[float | int]) -> Value:
        """Pointer to a constant array in the module (64-byte aligned), shared by equal tables."""
        body = ", ".join(f"{element} {literal(element, v)}" for v in values)
        text = f"private unnamed_addr constant [{len(values)} x {element}] [{body}], align 64"
        name = self.constants.setdefault(text, f"@table{len(self.constants)}")
        return Value(name, "ptr")

    # -- calls -------------------------------------------------------------------------------------
    def declare(self, name: str, signature: str) -> None:
        """Declare an external function once: ``declare("llvm.fabs.f32", "float (float)")``."""
        result, _, arguments = signature.partition("(")
        self.declarations[name] = f"declare {result.strip()} @{name}({arguments}"

    def define(self, name: str, text: str) -> None:
        """Add the definition `text` of the internal function `name` to the module, once."""
        self.declarations[name] = text.strip()

    def call(self, result: str, name: str, *arguments: Value, flags: str = "") -> Value:
        """Call `name` (declared on the way) and return its result; `result` may be ``void``."""
        self.declare(name, f"{result} ({', '.join(a.type for a in arguments)})")
        words = ", ".join(f"{a.type} {a.text}" for a in arguments)
        text = f"call {flags + ' ' if flags else ''}{result} @{name}({words})"
        if result == "void":
            self.line(text)
            return Value("", "void")
        return self.emit(result, text)

    def intrinsic(self, name: str, first: Value, *rest: Value | float) -> Value:
        """Call an overloaded intrinsic of one type throughout: ``fma``, ``fabs`` ..."""
        arguments = [first, *(self.like(r, first) for r in rest)]
        return self.call(first.type, f"llvm.{name}.{mangled(first.type)}", *arguments)

    # -- arithmetic: the second operand may be a Python number -------------------------------------
    def binary(self, opcode: str, a: Value, b: Value | float | int) -> Value:
        """``opcode a, b`` for any two-operand instruction: fadd, add nuw, shl, and, xor ..."""
        return self.emit(a.type, f"{opcode} {a.type} {a.text}, {self.like(b, a).text}")

    def fadd(self, a: Value, b: Value | float) -> Value:
        return self.binary("fadd", a, b)

    def fsub(self, a: Value, b: Value | float) -> Value:
        return self.binary("fsub", a, b)

    def fmul(self, a: Value, b: Value | float) -> Value:
        return self.binary("fmul", a, b)

    def fdiv(self, a: Value, b: Value | float) -> Value:
        return self.binary("fdiv", a, b)

    def fneg(self, a: Value) -> Value:
        return self.emit(a.type, f"fneg {a.type} {a.text}")

    def fma(self, a: Value, b: Value | float, c: Value | float) -> Value:
        return self.intrinsic("fma", a, b, c)

    def add(self, a: Value, b: Value | int) -> Value:
        return self.binary("add", a, b)

    def sub(self, a: Value, b: Value | int) -> Value:
        return self.binary("sub", a, b)

    def mul(self, a: Value, b: Value | int) -> Value:
        return self.binary("mul", a, b)

    def fcmp(self, predicate: str, a: Value, b: Value | float) -> Value:
        """Float comparison (``olt``, ``ogt``, ``oeq``, ``une``, ``uno`` ...), giving i1 lanes."""
        return self.emit(
            with_element(a.type, "i1"),
            f"fcmp {predicate} {a.type} {a.text}, {self.like(b, a).text}",
        )

    def icmp(self, predicate: str, a: Value, b: Value | int) -> Value:
        """Integer comparison (``eq``, ``slt``, ``ult`` ...), giving i1 lanes."""
        return self.emit(
            with_element(a.type, "i1"),
            f"icmp {predicate} {a.type} {a.text}, {self.like(b, a).text}",
        )

    def select(self, mask: Value, a: Value | float | int, b: Value | float | int) -> Value:
        """`a` where `mask`, else `b`; at least one of them is a Value."""
        if not isinstance(a, Value):
            assert isinstance(b, Value)
            a = self.const(b.type, a)
        b = self.like(b, a)
        return self.emit(
            a.type, f"select {mask.type} {mask.text}, {a.type} {a.text}, {b.type} {b.text}"
        )

    def convert(self, opcode: str, a: Value, element: str) -> Value:
        """A conversion instruction: ``bitcast``, ``sitofp``, ``zext``, ``trunc``, ``fpext`` ..."""
        target = with_element(a.type, element)
        return self.emit(target, f"{opcode} {a.type} {a.text} to {target}")

    def shuffle(self, a: Value, b: Value | None, lanes: Sequence[int]) -> Value:
        """``shufflevector``: lane i of the result is lane ``lanes[i]`` of `a` followed by `b`."""
        other = b.text if b is not None else "poison"
        mask = ", ".join(f"i32 {lane}" for lane in lanes)
        return self.emit(
            vector_type(element_of(a.type), len(lanes)),
            f"shufflevector {a.type} {a.text}, {a.type} {other}, <{len(lanes)} x i32> <{mask}>",
        )

    def splat(self, scalar: Value, lanes: int) -> Value:
        """The scalar in every lane; a value that has so many lanes already stays as it is."""
        if lanes_of(scalar.type) == lanes:
            return scalar
        target = vector_type(scalar.type, lanes)
        if scalar.text[0] not in "%@":
            return Value(f"splat ({scalar.type} {scalar.text})", target)
        first = self.emit(
            target, f"insertelement {target} poison, {scalar.type} {scalar.text}, i32 0"
        )
        return self.shuffle(first, None, [0] * lanes)

    # -- memory ------------------------------------------------------------------------------------
    def gep(self, element: str, pointer: Value, offset: Value | int) -> Value:
        """Address `offset` elements after `pointer`."""
        index = offset if isinstance(offset, Value) else self.size(offset)
        if index.text == "0":
            return pointer
        return self.emit(
            "ptr", f"getelementptr {element}, ptr {pointer.text}, {index.type} {index.text}"
        )

    def load(self, type_name: str, pointer: Value, align: int, suffix: str = "") -> Value:
        return self.emit(type_name, f"load {type_name}, ptr {pointer.text}, align {align}{suffix}")

    def store(self, value: Value, pointer: Value, align: int, suffix: str = "") -> None:
        self.line(f"store {value.type} {value.text}, ptr {pointer.text}, align {align}{suffix}")

    def masked_load(
        self, type_name: str, pointer: Value, align: int, mask: Value, otherwise: Value
    ) -> Value:
        name = f"llvm.masked.load.{mangled(type_name)}.p0"
        self.declare(name, f"{type_name} (ptr, {mask.type}, {type_name})")
        return self.emit(
            type_name,
            f"call {type_name} @{name}(ptr align {align} {pointer.text}, {mask.type} {mask.text}, "
            f"{type_name} {otherwise.text})",
        )

    def masked_store(self, value: Value, pointer: Value, align: int, mask: Value) -> None:
        name = f"llvm.masked.store.{mangled(value.type)}.p0"
        self.declare(name, f"void ({value.type}, ptr, {mask.type})")
        self.line(
            f"call void @{name}({value.type} {value.text}, ptr align {align} {pointer.text}, "
            f"{mask.type} {mask.text})"
        )

    def alloca(self, element: str, count: int) -> Value:
        """Pointer to `count` elements on the function's stack, 64-byte aligned."""
        name = "%" + self.fresh("array")
        self.arrays.append(f"  {name} = alloca [{count} x {element}], align 64")
        return Value(name, "ptr")

    # -- control flow ------------------------------------------------------------------------------
    def loop(
        self,
        start: Value | int,
        stop: Value | int,
        step: Value | int,
        body: Callable[[Value, list[Value]], Sequence[Value] | None],
        carried: Sequence[Value] = (),
        at_least_once: bool = False,
    ) -> list[Value]:
        """``for i in range(start, stop, step)`` over i64 with carried values.

        ``body(i, values)`` returns the values after one turn; the loop returns those after the last
        (or the initial ones when it does not run). `at_least_once` leaves out the test before the
        first turn.
        """
        numbers = (start, stop, step)
        begin, end, stride = (v if isinstance(v, Value) else self.size(v) for v in numbers)
        head, after = self.fresh("loop"), self.fresh("after")
        latch = self.fresh("latch")
        before = self._block
        if at_least_once:
            self.line(f"br label %{head}")
        else:
            enter = self.icmp("slt", begin, end)
            self.line(f"br i1 {enter.text}, label %{head}, label %{after}")
        self.label(head)
        index = Value("%" + self.fresh("i"), "i64")
        following = "%" + self.fresh("n")
        phis = [Value("%" + self.fresh("c"), c.type) for c in carried]
        place = len(self.lines)
        self.lines.append("")
        results = list(body(index, phis) or [])
        self.line(f"br label %{latch}")
        self.label(latch)
        self.lines[place] = "\n".join(
            [f"  {index.text} = phi i64 [{begin.text}, %{before}], [{following}, %{latch}]"]
            + [
                f"  {phi.text} = phi {phi.type} [{c.text}, %{before}], [{r.text}, %{latch}]"
                for phi, c, r in zip(phis, carried, results, strict=True)
            ]
        )
        self.line(f"{following} = add i64 {index.text}, {stride.text}")
        again = self.icmp("slt", Value(following, "i64"), end)
        self.line(f"br i1 {again.text}, label %{head}, label %{after}")
        self.label(after)
        if at_least_once:
            return results
        return [
            self.emit(c.type, f"phi {c.type} [{c.text}, %{before}], [{r.text}, %{latch}]")
            for c, r in zip(carried, results, strict=True)
        ]

    def branch(self, condition: Value, body: Callable[[], None]) -> None:
        """``if condition: body()`` for an i1 scalar; nothing is carried out of it."""
        then, after = self.fresh("then"), self.fresh("after")
        self.line(f"br i1 {condition.text}, label %{then}, label %{after}")
        self.label(then)
        body()
        self.line(f"br label %{after}")
        self.label(after)

    def either(
        self,
        condition: Value,
        then: Callable[[], list[Value]],
        otherwise: Callable[[], list[Value]],
    ) -> list[Value]:
        """``then() if condition else otherwise()`` for an i1 scalar; both give values of the same
        types.
        """
        labels = self.fresh("then"), self.fresh("else")
        after = self.fresh("after")
        self.line(f"br i1 {condition.text}, label %{labels[0]}, label %{labels[1]}")
        results, ends = [], []
        for label, body in zip(labels, (then, otherwise), strict=True):
            self.label(label)
            results.append(body())
            ends.append(self._block)
            self.line(f"br label %{after}")
        self.label(after)
        return [
            self.emit(x.type, f"phi {x.type} [{x.text}, %{ends[0]}], [{y.text}, %{ends[1]}]")
            for x, y in zip(*results, strict=True)
        ]

    # -- whole text --------------------------------------------------------------------------------
    def function(self, name: str, parameters: str, linkage: str = "") -> str:
        """The finished function, ``define void @name(parameters)``, with its ``ret void``."""
        prefix = (
            f"define {linkage + ' ' if linkage else ''}void @{name}({parameters}) #0 {{\nentry:\n"
        )
        lines = [*self.arrays, *self.header.values(), *self.lines]
        return prefix + "\n".join(lines) + "\n  ret void\n}\n"

    def preamble(self) -> str:
        """Declarations and constant tables that the functions written so far need."""
        tables = [f"{name} = {text}" for text, name in self.constants.items()]
        return "\n".join([*tables, *self.declarations.values()]) + "\n"


def mangled(type_name: str) -> str:
    """The suffix of an overloaded intrinsic: ``v16f32``, ``f64``, ``v8i32``, ``p0``."""
    short = {"float": "f32", "double": "f64", "half": "f16", "ptr": "p0"}
    element = element_of(type_name)
    element = short.get(element, element)
    lanes = lanes_of(type_name)
    return element if lanes == 1 else f"v{lanes}{element}"
