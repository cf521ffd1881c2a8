"""The thread pool's machine code, as LLVM IR text.

`pool_text` puts the parts together, with those that depend on the platform (pool_platforms.py).
threads.py compiles the text and is the Python side of it; replay.py writes the call table that
`drain` walks.

A dispatch works by claims. The caller publishes its job and makes the epoch odd; whoever is awake
joins and claims chunk after chunk, the caller too. When the caller finds no more it makes the epoch
even and waits for the workers that joined, never for one that did not wake up in time. A worker
counts itself in (`active`) and then looks at the epoch again: either it sees the job closed and
leaves, or the caller sees it counted in and waits. So a late worker can never claim chunks of one
job with the functions of another.

Chunks are cut into one run for each worker, which has a counter of its own, in the caller's stack.
A worker claims those of its own run first and then what others have left: what a kernel wrote, the
next one over the same elements reads on the same core, whose cache still has it.
"""

from __future__ import annotations

from grad.runtime.cpu.pool_platforms import platform_text

# Turns of about 40 ns to 60 ns before an idle thread sleeps: it must bridge the Python between two
# calls.
SPIN_TURNS = 2000
# Waking a thread costs the caller 20 us to 40 us, so it is done when this much work (in nanoseconds
# of one thread, as estimated, or as measured where that is more) has come by since the pool went to
# sleep, in one job or in several that follow each other closely.
WAKE_WORK = 60_000
CLOSELY = 200_000
# Words of 8 bytes a call: function, first argument, items, grain, number of the chunk after its
# last.
CALL_WORDS = 5
# As many threads as the pool may have (threads.py).
MAX_THREADS = 1024
# Counters lie on cache lines of their own.
COUNTER_WORDS = 8

# `places` has the core of each thread that is awake, 1 and up; the caller's is of its last call to
# the sleeping ones.
STATE = f"""
@epoch = internal global i32 0, align 64
@active = internal global i32 0, align 64
@sleepers = internal global i32 0, align 64
@busy = internal global i32 0, align 64
@limit = internal global i64 1, align 64
@alive = internal global i64 0, align 8
@owed = internal global i64 0, align 64
@last_job = internal global i64 0, align 8
@job = internal global {{ ptr, i64, ptr, i64, ptr }} zeroinitializer, align 64
@places = internal global [{MAX_THREADS} x i32] zeroinitializer, align 64
@grad_pool_missing = global i64 0, align 64
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.uadd.sat.i64(i64, i64)
declare i64 @llvm.usub.sat.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""

# A thread that has just been woken takes a core for itself where there is one.
SPREAD = """
define internal void @note_core(i64 %self) {
  %core = call i32 @core()
  %place = add i32 %core, 1
  %place_at = getelementptr i32, ptr @places, i64 %self
  store atomic i32 %place, ptr %place_at monotonic, align 4
  ret void
}
define internal void @spread(i64 %self) {
entry:
  %limit = load atomic i64, ptr @limit seq_cst, align 8
  %mine_at = getelementptr i32, ptr @places, i64 %self
  store atomic i32 0, ptr %mine_at monotonic, align 4
  %core = call i32 @core()
  %mine = add i32 %core, 1
  br label %look
look:
  %i = phi i64 [0, %entry], [%next, %apart]
  %place_at = getelementptr i32, ptr @places, i64 %i
  %place = load atomic i32, ptr %place_at monotonic, align 4
  %shared = icmp eq i32 %place, %mine
  br i1 %shared, label %leave, label %apart
apart:
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %limit
  br i1 %more, label %look, label %note
leave:
  call void @leave_core(ptr @places, i64 %limit)
  br label %note
note:
  call void @note_core(i64 %self)
  ret void
}
"""

# Run chunks claimed from the worker's own run and then from the next ones, until there are none:
# chunk c of a call computes the items from c * grain on. Chunk numbers go through all calls, and
# rise within a run, so the search goes back for a new run only.
DRAIN = f"""
define internal void @drain(ptr %counters, i64 %workers, i64 %chunks, ptr %calls, ptr %area,
    i64 %worker) {{
entry:
  br label %enter
enter:
  %visited = phi i64 [0, %entry], [%visits, %leave]
  %sum = add i64 %worker, %visited
  %around = icmp uge i64 %sum, %workers
  %wrapped = sub i64 %sum, %workers
  %owner = select i1 %around, i64 %wrapped, i64 %sum
  %after_owner = add i64 %owner, 1
  %start_product = mul i64 %owner, %chunks
  %start = udiv i64 %start_product, %workers
  %limit_product = mul i64 %after_owner, %chunks
  %limit = udiv i64 %limit_product, %workers
  %counter_word = mul i64 %owner, {COUNTER_WORDS}
  %counter = getelementptr i64, ptr %counters, i64 %counter_word
  br label %peek
peek:
  %last_call = phi ptr [%calls, %enter], [%call, %run]
  %last_first = phi i64 [0, %enter], [%first, %run]
  %taken = load atomic i64, ptr %counter monotonic, align 8
  %expected = add i64 %start, %taken
  %open = icmp ult i64 %expected, %limit
  br i1 %open, label %claim, label %leave
claim:
  %claimed = atomicrmw add ptr %counter, i64 1 acq_rel
  %chunk = add i64 %start, %claimed
  %some = icmp ult i64 %chunk, %limit
  br i1 %some, label %seek, label %leave
leave:
  %visits = add i64 %visited, 1
  %others = icmp ult i64 %visits, %workers
  br i1 %others, label %enter, label %done
seek:
  %call = phi ptr [%last_call, %claim], [%following, %skip]
  %first = phi i64 [%last_first, %claim], [%end, %skip]
  %end_at = getelementptr i64, ptr %call, i64 4
  %end = load i64, ptr %end_at
  %inside = icmp ult i64 %chunk, %end
  br i1 %inside, label %run, label %skip
skip:
  %following = getelementptr i64, ptr %call, i64 {CALL_WORDS}
  br label %seek
run:
  %argument_at = getelementptr i64, ptr %call, i64 1
  %items_at = getelementptr i64, ptr %call, i64 2
  %grain_at = getelementptr i64, ptr %call, i64 3
  %function = load ptr, ptr %call
  %argument = load i64, ptr %argument_at
  %items = load i64, ptr %items_at
  %grain = load i64, ptr %grain_at
  %arguments = getelementptr i64, ptr %area, i64 %argument
  %local = sub i64 %chunk, %first
  %begin = mul i64 %local, %grain
  %full = add i64 %begin, %grain
  %stop = call i64 @llvm.umin.i64(i64 %full, i64 %items)
  call void %function(ptr %arguments, i64 %begin, i64 %stop, i64 %worker)
  br label %peek
done:
  ret void
}}
"""

WORKER = f"""
define internal ptr @worker(ptr %identity) {{
entry:
  %self = ptrtoint ptr %identity to i64
  %place_at = getelementptr i32, ptr @places, i64 %self
  call void @spread(i64 %self)
  br label %wait
wait:
  %seen = phi i32 [0, %entry], [%now, %left]
  br label %spin
spin:
  %turn = phi i32 [0, %wait], [%turns, %rest], [0, %sleep]
  %now = load atomic i32, ptr @epoch seq_cst, align 4
  %changed = icmp ne i32 %now, %seen
  br i1 %changed, label %look, label %idle
idle:
  %turns = add i32 %turn, 1
  %patient = icmp ult i32 %turns, {SPIN_TURNS}
  br i1 %patient, label %rest, label %sleep
rest:
  call void @pause()
  br label %spin
sleep:
  store atomic i32 0, ptr %place_at monotonic, align 4
  %before = atomicrmw add ptr @sleepers, i32 1 seq_cst
  call void @sleep_while(i32 %now)
  %after = atomicrmw sub ptr @sleepers, i32 1 seq_cst
  call void @spread(i64 %self)
  br label %spin
look:
  %limit = load atomic i64, ptr @limit seq_cst, align 8
  %kept = icmp ult i64 %self, %limit
  br i1 %kept, label %stay, label %leave
stay:
  %odd = and i32 %now, 1
  %open = icmp ne i32 %odd, 0
  br i1 %open, label %join, label %left
join:
  %joined = atomicrmw add ptr @active, i32 1 seq_cst
  %again = load atomic i32, ptr @epoch seq_cst, align 4
  %same = icmp eq i32 %again, %now
  br i1 %same, label %permitted, label %out
permitted:
  %calls = load ptr, ptr @job
  %chunks = load i64, ptr getelementptr (i8, ptr @job, i64 8)
  %area = load ptr, ptr getelementptr (i8, ptr @job, i64 16)
  %workers = load i64, ptr getelementptr (i8, ptr @job, i64 24)
  %counters = load ptr, ptr getelementptr (i8, ptr @job, i64 32)
  %wanted = icmp ult i64 %self, %workers
  br i1 %wanted, label %work, label %out
work:
  call void @drain(ptr %counters, i64 %workers, i64 %chunks, ptr %calls, ptr %area, i64 %self)
  br label %out
out:
  %parted = atomicrmw sub ptr @active, i32 1 seq_cst
  br label %left
left:
  br label %wait
leave:
  store atomic i32 0, ptr %place_at monotonic, align 4
  %gone = atomicrmw sub ptr @alive, i64 1 seq_cst
  ret ptr null
}}
"""

# Run all chunks of a job, by at most `enough` threads, the caller included; `cost` estimates what
# one thread would need. One caller has the pool at a time; another, and any that wants no help,
# runs its chunks alone as worker 0.
PARALLEL = f"""
define void @grad_parallel(ptr %calls, i64 %chunks, ptr %area, i64 %enough, i64 %cost) {{
entry:
  %alone = alloca i64, align 8
  %alive = load atomic i64, ptr @alive monotonic, align 8
  %some = icmp ne i64 %alive, 0
  %many = icmp ugt i64 %chunks, 1
  %allowed = icmp ugt i64 %enough, 1
  %useful = and i1 %some, %many
  %parallel = and i1 %useful, %allowed
  br i1 %parallel, label %take, label %serial
take:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acq_rel monotonic
  %taken = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %taken, label %count, label %serial
count:
  %with_caller = add i64 %alive, 1
  %workers = call i64 @llvm.umin.i64(i64 %enough, i64 %with_caller)
  %words = mul i64 %workers, {COUNTER_WORDS}
  %counters = alloca i64, i64 %words, align 64
  br label %clear
clear:
  %word = phi i64 [0, %count], [%next_word, %clear]
  %counter = getelementptr i64, ptr %counters, i64 %word
  store i64 0, ptr %counter
  %next_word = add i64 %word, {COUNTER_WORDS}
  %uncleared = icmp ult i64 %next_word, %words
  br i1 %uncleared, label %clear, label %publish
publish:
  store ptr %calls, ptr @job
  store i64 %chunks, ptr getelementptr (i8, ptr @job, i64 8)
  store ptr %area, ptr getelementptr (i8, ptr @job, i64 16)
  store i64 %workers, ptr getelementptr (i8, ptr @job, i64 24)
  store ptr %counters, ptr getelementptr (i8, ptr @job, i64 32)
  %opened = atomicrmw add ptr @epoch, i32 1 seq_cst
  %sleepers = load atomic i32, ptr @sleepers seq_cst, align 4
  %sleeping = icmp ne i32 %sleepers, 0
  br i1 %sleeping, label %weigh, label %run
weigh:
  %now = call i64 @nanoseconds()
  %last = load i64, ptr @last_job
  %gap = sub i64 %now, %last
  %apart = icmp ugt i64 %gap, {CLOSELY}
  %owed_before = load i64, ptr @owed
  %kept = select i1 %apart, i64 0, i64 %owed_before
  %owed = call i64 @llvm.uadd.sat.i64(i64 %kept, i64 %cost)
  %worth = icmp uge i64 %owed, {WAKE_WORK}
  %owed_after = select i1 %worth, i64 0, i64 %owed
  store i64 %owed_after, ptr @owed
  br i1 %worth, label %rouse, label %run
rouse:
  call void @note_core(i64 0)
  %helpers = sub i64 %chunks, 1
  %bounded = call i64 @llvm.umin.i64(i64 %helpers, i64 2147483647)
  call void @wake(i64 %bounded)
  br label %run
run:
  %began = phi i64 [0, %publish], [%now, %weigh], [0, %rouse]
  call void @drain(ptr %counters, i64 %workers, i64 %chunks, ptr %calls, ptr %area, i64 0)
  %closed = atomicrmw add ptr @epoch, i32 1 seq_cst
  %alone_here = icmp ne i64 %began, 0
  br i1 %alone_here, label %measure, label %finish
measure:
  %ended = call i64 @nanoseconds()
  store i64 %ended, ptr @last_job
  %took = sub i64 %ended, %began
  %underestimated = call i64 @llvm.usub.sat.i64(i64 %took, i64 %cost)
  %owed_estimated = load i64, ptr @owed
  %owed_measured = call i64 @llvm.uadd.sat.i64(i64 %owed_estimated, i64 %underestimated)
  store i64 %owed_measured, ptr @owed
  br label %finish
finish:
  %turn = phi i32 [0, %run], [0, %measure], [%turns, %rest], [%turns, %yield]
  %active = load atomic i32, ptr @active seq_cst, align 4
  %idle = icmp eq i32 %active, 0
  br i1 %idle, label %release, label %more
more:
  %turns = add i32 %turn, 1
  %patient = icmp ult i32 %turns, {SPIN_TURNS}
  br i1 %patient, label %rest, label %yield
rest:
  call void @pause()
  br label %finish
yield:
  %yielded = call i32 @sched_yield()
  br label %finish
release:
  store atomic i32 0, ptr @busy release, align 4
  ret void
serial:
  store i64 0, ptr %alone
  call void @drain(ptr %alone, i64 1, i64 %chunks, ptr %calls, ptr %area, i64 0)
  ret void
}}
"""

# start: a new worker, 0 or an error number. resize: workers from `limit` on end; returns when they
# have. reset: as if there had never been a thread, for a forked child.
CONTROL = f"""
define i32 @grad_pool_start(i64 %number) {{
  %handle = alloca i64, align 8
  %identity = inttoptr i64 %number to ptr
  %counted = atomicrmw add ptr @alive, i64 1 seq_cst
  %error = call i32 @pthread_create(ptr %handle, ptr null, ptr @worker, ptr %identity)
  %good = icmp eq i32 %error, 0
  br i1 %good, label %started, label %failed
started:
  %thread = load i64, ptr %handle
  %detached = call i32 @pthread_detach(i64 %thread)
  ret i32 0
failed:
  %uncounted = atomicrmw sub ptr @alive, i64 1 seq_cst
  ret i32 %error
}}
define void @grad_pool_resize(i64 %limit) {{
entry:
  %keep = sub i64 %limit, 1
  br label %take
take:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acq_rel monotonic
  %taken = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %taken, label %announce, label %yield
yield:
  %yielded = call i32 @sched_yield()
  br label %take
announce:
  store atomic i64 %limit, ptr @limit seq_cst, align 8
  %moved = atomicrmw add ptr @epoch, i32 2 seq_cst
  call void @wake(i64 2147483647)
  br label %wait
wait:
  %alive = load atomic i64, ptr @alive seq_cst, align 8
  %over = icmp sgt i64 %alive, %keep
  br i1 %over, label %patience, label %release
patience:
  %waited = call i32 @sched_yield()
  br label %wait
release:
  store atomic i32 0, ptr @busy release, align 4
  ret void
}}
define i64 @grad_pool_alive() {{
  %alive = load atomic i64, ptr @alive seq_cst, align 8
  ret i64 %alive
}}
define void @grad_pool_reset() {{
  call void @llvm.memset.p0.i64(ptr @places, i8 0, i64 {4 * MAX_THREADS}, i1 false)
  store atomic i32 0, ptr @epoch seq_cst, align 4
  store atomic i32 0, ptr @active seq_cst, align 4
  store atomic i32 0, ptr @sleepers seq_cst, align 4
  store atomic i32 0, ptr @busy seq_cst, align 4
  store atomic i64 0, ptr @alive seq_cst, align 8
  call void @reset_wait()
  ret void
}}
"""


def pool_text(triple: str) -> str:
    """The pool's module for the platform that `triple` names (``"x86_64-unknown-linux-gnu"``)."""
    return STATE + platform_text(triple) + SPREAD + DRAIN + WORKER + PARALLEL + CONTROL
