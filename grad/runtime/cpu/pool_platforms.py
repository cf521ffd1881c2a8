"""The parts of the thread pool's machine code that differ between platforms, as LLVM IR text.

How to start a thread is POSIX or not at all, how an idle one sleeps is a row of `WAITS`, how a
spinning one rests is a row of `PAUSES`, and the number of the clock is a row of `CLOCKS`.
pool_code.py has the rest, which calls these by name.
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


def platform_text(triple: str) -> str:
    """The parts for the platform that `triple` names (``"x86_64-unknown-linux-gnu"``)."""
    architecture = triple.split("-")[0].replace("arm64", "aarch64")
    pause = PAUSES.get(architecture, NO_PAUSE)
    if "windows" in triple:
        return pause + SERIAL
    system = "linux" if "linux" in triple else ""
    clock = next((number for word, number in CLOCKS.items() if word in triple), 1)
    wait = WAITS.get((system, architecture), CONDITION)
    return pause + POSIX.replace("MONOTONIC", str(clock)) + wait
