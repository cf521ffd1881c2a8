"""`grad.compile`: record a function, then replay it in one native call.

The first call with arguments of a new kind (shapes, types, Python values) just runs. The second is
recorded (recorder.py) and finished as one plan (replay.py); from the third on the plan is replayed,
as long as the guards (guards.py) say that everything the function took for granted still holds. A
kind that differs in sizes alone from one that was recorded (a last, smaller batch) is recorded at
its first call: to run it otherwise is another program, whose kernels are of no use later. One whose
plan, which was made for many sizes, has been used often is recorded again with a plan of its own.
When guards do not hold, the function is recorded again; earlier recordings whose guards may hold
again (those of the training mode, while the module evaluates) are kept beside. A function that
changes again and again for one kind of call runs as if it were not compiled, and says so once.
There may be any number of kinds (a batch or a sequence of each length): those that were called last
are known, but for calls with objects that are gone (forget.py).
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from operator import is_
from typing import Any

from grad.autograd.anomaly import anomaly
from grad.autograd.modes import mode
from grad.buffer import clear_buffer_cache
from grad.compile.changes import Changes, all_or_nothing
from grad.compile.containers import containers, others_have_one, standing
from grad.compile.findings import ALL_ATTRIBUTES
from grad.compile.finish import abandon, finish
from grad.compile.forget import NAMED
from grad.compile.guards import Guards, Unguarded
from grad.compile.kinds import Identities, environment, form, has_hooks, repeated, shared, view_of
from grad.compile.reach import collect
from grad.compile.recorder import Tape
from grad.compile.records import Entry, Record, Shortcut
from grad.compile.replay import STALE
from grad.compile.run import Runner
from grad.compile.tree import take_apart
from grad.compile.watch import watching
from grad.engine.recording import recording
from grad.settings import settings

# So many recordings that replace others are enough to see that there is no end to them.
MOST_REPEATED = 32
# So many kinds of calls are known at a time, and so many recordings of one kind.
MOST_KINDS, MOST_RECORDS = 1024, 4
# So many kinds that were recorded at their first call may wait for the second; others are recorded
# then, since a loop whose sizes never come back would record for nothing.
MOST_WAITING = 32


def _obstacle(
    same: bool, guards: Guards, tensors: Sequence[Any], made: list[Any], before: Mapping[int, Any]
) -> str | None:
    """Why a function cannot be replayed whose run was recorded, if that is so.

    Args:
        same: whether its arguments are as they were. made: nothing but its result.
        before: what stands for containers that there were before (containers.py).
    """
    if not same:
        return "it changes a setting of the library, or the containers that it is given"
    own = {name for tensor in tensors for name in tensor.__dict__}
    if own & guards.names or (own and guards.names & ALL_ATTRIBUTES):
        return "it may read what users have written to an argument, as attributes"
    if others_have_one(made, before):
        return "it returns a container that others have as well"
    return None


class Compiled:
    """A function with its recordings; call it like the function.

    Copies and pickles are of the function and begin without recordings: that of a bound method is
    bound to the copy of its object. One that a module has under its name is pickled as that name.

    Attributes:
        function: what was compiled. recordings: how often it has been recorded.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.recordings = 0
        self._repeated = 0
        self._untried = 0  # kinds of calls that have not been recorded
        self._forgets = False
        self._entries: OrderedDict[Any, Entry] = OrderedDict()  # the one that was called last last
        self._forms: set[tuple[Any, ...]] = set()  # of the kinds that have been recorded
        self._last: Runner | None = None
        self._shortcut: Shortcut | None = None
        self._hopeless: str | None = None
        self._reason: str | None = None
        self._lock = threading.RLock()

    def __reduce_ex__(self, protocol: Any) -> Any:
        found: Any = sys.modules.get(self.__module__)
        name = self.__dict__.get("__qualname__", "")
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        return {"function": self.function}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Compiled.__init__(self, **state)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: bound to its object."""
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if recording.recorder is not None or self._hopeless is not None:
            return self.function(*args, **kwargs)  # part of what is being recorded
        if mode.saved_hooks is not None or mode.recomputing or anomaly.enabled:
            # What it saves is asked for, or where its operations were called.
            return self.function(*args, **kwargs)
        if mode.levels:
            return self.function(*args, **kwargs)  # a replay has first derivatives only
        shortcut = self._shortcut
        if shortcut is not None and not kwargs and shortcut.fits(args):
            guards, runner, identities = shortcut.record
            if identities.fit(args) and guards.broken() is None:
                result = runner.run(args)
                if result is not STALE:
                    return result
        tensors: list[Any] = []
        others: list[Any] = []
        inside: list[Any] = []
        key = self._key(args, kwargs, tensors, others, inside)
        if any(tensor._requires_grad and has_hooks(tensor) for tensor in tensors):
            self._say("not recorded: an argument has hooks, which may be others at the next call")
            self._is_last(None)
            return self.function(*args, **kwargs)
        entry = self._entry(key, others)
        if any(record.runner.is_over for record in entry.records):
            with self._lock:
                entry.end()
        records = entry.records
        if not records and not self._may_record(entry, args, kwargs):
            first, entry.seen = not entry.seen, True
            self._is_last(None)
            if not first:
                return self.function(*args, **kwargs)
            with all_or_nothing():
                return self.function(*args, **kwargs)
        given = [*tensors, *inside]
        for record in records:
            result, used = self._replayed(record, given)
            if used is not None:
                if used is not records[0]:
                    with self._lock:
                        if entry.records is records:
                            entry.records = (used, *[r for r in records if r is not record])
                self._shortcut = None if kwargs else Shortcut.of(args, tensors, used)
                entry.waiting = False
                return result
        with self._lock:
            if entry.records is records:
                with all_or_nothing() as changes:
                    return self._record(changes, entry, args, kwargs, tensors, others, inside)
        return self(*args, **kwargs)  # another thread has recorded it meanwhile

    def _replayed(self, record: Record, given: list[Any]) -> tuple[Any, Record | None]:
        """The result of a replay, and the record that could be used, if it could.

        `given` has the tensors, and the containers among the arguments.
        """
        guards, runner, identities = record
        self._reason = guards.broken()
        if self._reason is None:
            result = runner.run(given) if identities.fit(given) else STALE
            if result is STALE:
                replay = runner.replay.on_gradients_now()
                if replay is not None:
                    identities = identities.among(guards.outer(replay.grads_read))
                if replay is not None and identities.fit(given):
                    record = Record(guards, Runner(replay), identities)
                    result = record.runner.run(given)
            if result is not STALE:
                self._is_last(record.runner)
                return result, record
            self._reason = "an argument, or memory that it writes, is another one"
        self._say(self._reason)
        return None, None

    def _entry(self, key: Any, others: list[Any]) -> Entry:
        """What is known of calls of one kind, which is now the last that was called."""
        entries = self._entries
        entry = entries.get(key)
        if entry is not None:
            with contextlib.suppress(KeyError):  # another thread may have dropped it
                entries.move_to_end(key)
            return entry
        entry = entries[key] = Entry(others)
        if others:
            self._is_last(None)  # which may refer to them
            NAMED.add(entries)
        if len(entries) > MOST_KINDS:
            with self._lock, contextlib.suppress(KeyError):  # it has just been emptied
                entries.popitem(last=False)
        self._untried += 1
        if self._untried > MOST_KINDS and not self._forgets:
            self._forgets = True
            warnings.warn(
                f"grad.compile: {self.function!r} has been called with {MOST_KINDS} kinds of "
                f"arguments, and runs uncompiled for each that is new; give it numbers that "
                f"change from call to call as tensors, and pad what changes its shape.",
                stacklevel=3,
            )
        return entry

    def _may_record(self, entry: Entry, args: Any, kwargs: Any) -> bool:
        """Whether a call of a kind is to be recorded: the second, or the first where kinds of other
        sizes have been.
        """
        if entry.seen:
            return not entry.hopeless
        if not self._forms or form(args, kwargs) not in self._forms:
            return False
        return sum(other.waiting for other in [*self._entries.values()]) < MOST_WAITING

    def _has_recorded(self, form: tuple[Any, ...]) -> None:
        """Note that a call like this one has been recorded."""
        if len(self._forms) >= MOST_KINDS:
            self._forms.clear()
        self._forms.add(form)

    def _is_last(self, runner: Runner | None) -> None:
        """The gradients that another record has set are no longer where they were: nobody but the
        record has them.
        """
        last, self._last = self._last, runner
        if last is not None and last is not runner:
            last.release()

    def _key(
        self,
        args: Any,
        kwargs: Any,
        tensors: list[Any],
        others: list[Any],
        inside: list[Any],
    ) -> tuple[Any, ...]:
        """What must be equal for two calls to be of one kind; `inside` gets the containers among
        the arguments.
        """
        structure = [take_apart(value, tensors, others) for value in args]
        if kwargs:
            structure.append(take_apart(kwargs, tensors, others))
        kinds: list[Any] = []
        for tensor in tensors:
            leaf = tensor._requires_grad and tensor._edge is None
            kinds += (type(tensor), tensor._shape, tensor.dtype, tensor._requires_grad, leaf)
            if tensor._path:
                kinds += view_of(tensor)
            kinds += tensor.__dict__  # attributes that users have added
        kinds += shared(tensors)
        inside += containers((*args, *kwargs.values()))
        kinds += repeated(inside)
        return (*environment(), *structure, *kinds)

    def _say(self, what: str) -> None:
        if settings.debug >= 1:
            print(f"grad: compile {self.function!r}: {what}", file=sys.stderr)

    def _record(
        self,
        changes: Changes,
        entry: Entry,
        args: Any,
        kwargs: Any,
        tensors: list[Any],
        others: list[Any],
        inside: list[Any],
    ) -> Any:
        """Run the function once more, and keep a recording if there can be one."""
        kept = tuple(r for r in entry.records if r.guards.may_hold_again())[: MOST_RECORDS - 1]
        entry.records, self._shortcut = kept, None
        self._is_last(None)
        early = self._count(changes, entry)
        if self._repeated >= MOST_REPEATED:
            why = "" if self._reason is None else f"; the last time because {self._reason}"
            self._lose_hope(f"it has been recorded again {MOST_REPEATED} times{why}")
            return self.function(*args, **kwargs)
        try:
            guards = collect(self.function, others)
        except Unguarded as reason:
            self._lose_hope(str(reason))
            return self.function(*args, **kwargs)
        tape, key = Tape(names=guards.names), self._key(args, kwargs, [], [], [])
        try:
            with watching(tape, guards.own):
                made = [self.function(*args, **kwargs)]
        finally:
            tape.put_back()
        before = standing(inside, len(tensors), guards.containers)
        after: list[Any] = []
        same = self._key(args, kwargs, after, [], []) == key and all(map(is_, after, tensors))
        why = tape.abandoned or _obstacle(same, guards, tensors, made, before)
        (result,) = made
        del made
        if why is not None:
            entry.hopeless = tape.abandoned is None and not early
            self._reason = why
            self._say(f"not recorded: {why}")
            abandon(tape)
            return result
        known = [known.tensor for known in guards.tensors]
        replay = finish(tape, tensors, result, known, before)
        if replay is None:
            entry.hopeless = not early
            self._say("not recorded: it reads or returns what cannot be found again")
        else:
            identities = Identities.of([*tensors, *inside], guards.outer(replay.grads_read))
            entry.records = (Record(guards, Runner(replay), identities), *kept)
            guards.broken()  # which then refer to all that they will refer to
            entry.version += 1
            entry.waiting = early or entry.waiting
            self._has_recorded(form(args, kwargs))
            # Replays need less than the calls before: they write where the old values are.
            changes.keep()
            del tape
            clear_buffer_cache()
        return result

    def _count(self, changes: Changes, entry: Entry) -> bool:
        """Note that a call of a kind is being recorded; gives whether it is the first of it: what
        that finds may be otherwise at the second, and only there.
        """
        changes.done(functools.partial(self._not_recorded, entry, entry.tried, self._repeated))
        self.recordings += 1
        self._repeated += entry.tried
        self._untried -= not entry.recorded
        early = not entry.seen
        entry.seen = entry.recorded = True
        entry.tried = not early
        return early

    def _not_recorded(self, entry: Entry, tried: bool, repeated: int) -> None:
        """A recording that fails for want of memory does not count."""
        entry.tried, self._repeated = tried, repeated

    def _lose_hope(self, reason: str) -> None:
        self._hopeless = reason
        self._entries.clear()
        warnings.warn(
            f"grad.compile: {self.function!r} runs uncompiled from now on: {reason}.", stacklevel=4
        )
