"""The parts of the thread pool's machine code that differ between platforms, as LLVM IR text.

How to start a thread is POSIX or not at all, how an idle one sleeps is a row of `WAITS`, how a
spinning one rests is a row of `PAUSES`, the number of the clock is a row of `CLOCKS`, and Linux
lets a thread look for a core of its own. pool_code.py has the rest, which calls these by name.
"""

from __future__ import annotations


def futex(system_call: int) -> str:
    """Linux: sleep in the kernel for as long as the epoch is what it was."""
    return f"""
declare i64 @syscall(i64, ...)
define internal void @sleep_while(i32 %seen) {{
  %wide = zext i32 %seen to i64
  %woken = call i64 (i64, ...) @syscall(i64 {system_call}, ptr @epoch, i64 128, i64 %wide, ptr null)
  ret void
}}
define internal void @wake(i64 %count) {{
  %woken = call i64 (i64, ...) @syscall(i64 {system_call}, ptr @epoch, i64 129, i64 %count)
  ret void
}}
define internal void @reset_wait() {{
  ret void
}}
"""


POSIX = """
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @sched_yield()
declare i32 @clock_gettime(i32, ptr)
define internal i64 @nanoseconds() {
  %time = alloca { i64, i64 }, align 8
  %got = call i32 @clock_gettime(i32 MONOTONIC, ptr %time)
  %seconds = load i64, ptr %time
  %rest_at = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %rest_at
  %whole = mul i64 %seconds, 1000000000
  %all = add i64 %whole, %rest
  ret i64 %all
}
"""

# The number of POSIX's CLOCK_MONOTONIC, by a word of LLVM's triple.
CLOCKS = {"linux": 1, "apple": 6, "freebsd": 4}

# Where there are no POSIX threads no thread can be started: error 11, try again.
SERIAL = """
define internal i32 @pthread_create(ptr %handle, ptr %options, ptr %function, ptr %argument) {
  ret i32 11
}
define internal i32 @pthread_detach(i64 %thread) {
  ret i32 0
}
define internal i32 @sched_yield() {
  ret i32 0
}
define internal void @sleep_while(i32 %seen) {
  ret void
}
define internal void @wake(i64 %count) {
  ret void
}
define internal void @reset_wait() {
  ret void
}
define internal i64 @nanoseconds() {
  ret i64 0
}
"""

# POSIX: a condition variable. 256 bytes hold a mutex or a condition of every known system.
CONDITION = """
@mutex = internal global [256 x i8] zeroinitializer, align 64
@condition = internal global [256 x i8] zeroinitializer, align 64
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
define internal void @sleep_while(i32 %seen) {
entry:
  %locked = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %look
look:
  %now = load atomic i32, ptr @epoch seq_cst, align 4
  %same = icmp eq i32 %now, %seen
  br i1 %same, label %wait, label %done
wait:
  %waited = call i32 @pthread_cond_wait(ptr @condition, ptr @mutex)
  br label %look
done:
  %unlocked = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}
define internal void @wake(i64 %count) {
  %locked = call i32 @pthread_mutex_lock(ptr @mutex)
  %woken = call i32 @pthread_cond_broadcast(ptr @condition)
  %unlocked = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}
define internal void @reset_wait() {
  %mutex = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %condition = call i32 @pthread_cond_init(ptr @condition, ptr null)
  ret void
}
"""

# By system and architecture (as in LLVM's triple); anything else uses the condition variable.
WAITS = {
    ("linux", "x86_64"): futex(202),
    ("linux", "aarch64"): futex(98),
}

PAUSES = {
    "x86_64": """
declare void @llvm.x86.sse2.pause()
define internal void @pause() alwaysinline {
  call void @llvm.x86.sse2.pause()
  ret void
}
""",
    "aarch64": """
declare void @llvm.aarch64.hint(i32)
define internal void @pause() alwaysinline {
  call void @llvm.aarch64.hint(i32 1)
  ret void
}
""",
}
NO_PAUSE = """
define internal void @pause() {
  ret void
}
"""


# On Linux a thread that was woken may find itself on the core of another one of the pool, and stay
# there for hundreds of milliseconds beside an idle core: a virtual machine's scheduler takes a core
# that sleeps for one that is busy elsewhere. A thread that sees it leaves that core, by forbidding
# itself all cores of the others for a moment. The sets have room for 1024 cores, as glibc's do.
APART = """
declare i32 @sched_getcpu()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)
define internal i32 @core() {
  %core = call i32 @sched_getcpu()
  ret i32 %core
}
define internal void @leave_core(ptr %taken, i64 %count) {
entry:
  %allowed = alloca [16 x i64], align 8
  %free = alloca [16 x i64], align 8
  call void @llvm.memset.p0.i64(ptr %allowed, i8 0, i64 128, i1 false)
  %known = call i32 @sched_getaffinity(i32 0, i64 128, ptr %allowed)
  call void @llvm.memcpy.p0.p0.i64(ptr %free, ptr %allowed, i64 128, i1 false)
  %good = icmp sge i32 %known, 0
  br i1 %good, label %cores, label %done
cores:
  %i = phi i64 [0, %entry], [%next, %cleared]
  %place_at = getelementptr i32, ptr %taken, i64 %i
  %place = load atomic i32, ptr %place_at monotonic, align 4
  %core = sub i32 %place, 1
  %known_core = icmp ult i32 %core, 1024
  br i1 %known_core, label %clear, label %cleared
clear:
  %word = lshr i32 %core, 6
  %in_word = and i32 %core, 63
  %shift = zext i32 %in_word to i64
  %bit = shl i64 1, %shift
  %others = xor i64 %bit, -1
  %word_at = getelementptr i64, ptr %free, i32 %word
  %old = load i64, ptr %word_at
  %left = and i64 %old, %others
  store i64 %left, ptr %word_at
  br label %cleared
cleared:
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %cores, label %move
move:
  ; Fails where no core is left, and then changes nothing.
  %moved = call i32 @sched_setaffinity(i32 0, i64 128, ptr %free)
  %restored = call i32 @sched_setaffinity(i32 0, i64 128, ptr %allowed)
  br label %done
done:
  ret void
}
"""
TOGETHER = """
define internal i32 @core() {
  ret i32 -1
}
define internal void @leave_core(ptr %taken, i64 %count) {
  ret void
}
"""


def platform_text(triple: str) -> str:
    """The parts for the platform that `triple` names (``"x86_64-unknown-linux-gnu"``)."""
    architecture = triple.split("-")[0].replace("arm64", "aarch64")
    pause = PAUSES.get(architecture, NO_PAUSE)
    if "windows" in triple:
        return pause + SERIAL + TOGETHER
    system = "linux" if "linux" in triple else ""
    clock = next((number for word, number in CLOCKS.items() if word in triple), 1)
    wait = WAITS.get((system, architecture), CONDITION)
    apart = APART if system else TOGETHER
    return pause + POSIX.replace("MONOTONIC", str(clock)) + wait + apart
