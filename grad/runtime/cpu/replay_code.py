"""The machine code that replays a plan, as LLVM IR text.

`EXECUTE` walks the table of words that replay.py writes: it binds the arguments of a step and
hands its calls to the pool (pool_code.py). `REPLAY` wraps that into Python builtins. Read
replay.py first.
"""

from __future__ import annotations

from grad.runtime.cpu.pool_code import CALL_WORDS

HEADER_WORDS = 6
STEP_WORDS = 6
ARGUMENT_WORDS = 2

# Header: slots, steps, workers allowed, words of arguments in the largest step, and where in the
# table the calls and the arguments start. Step: first call, chunks, first argument, count of
# arguments, how many workers its work is enough for, its cost in nanoseconds.
EXECUTE = f"""
declare void @grad_parallel(ptr, i64, ptr, i64, i64)
define internal void @execute(ptr %plan, ptr %values, ptr %area, i64 %first_step, i64 %last_step) {{
entry:
  %calls_at = getelementptr i64, ptr %plan, i64 4
  %calls_start = load i64, ptr %calls_at
  %all_calls = getelementptr i64, ptr %plan, i64 %calls_start
  %arguments_at = getelementptr i64, ptr %plan, i64 5
  %arguments_start = load i64, ptr %arguments_at
  %all_arguments = getelementptr i64, ptr %plan, i64 %arguments_start
  br label %next_step
next_step:
  %step_number = phi i64 [%first_step, %entry], [%step_after, %run]
  %more_steps = icmp ult i64 %step_number, %last_step
  br i1 %more_steps, label %begin, label %done
begin:
  %step_offset = mul i64 %step_number, {STEP_WORDS}
  %step_word = add i64 %step_offset, {HEADER_WORDS}
  %step = getelementptr i64, ptr %plan, i64 %step_word
  %chunks_at = getelementptr i64, ptr %step, i64 1
  %first_at = getelementptr i64, ptr %step, i64 2
  %count_at = getelementptr i64, ptr %step, i64 3
  %enough_at = getelementptr i64, ptr %step, i64 4
  %enough = load i64, ptr %enough_at
  %cost_at = getelementptr i64, ptr %step, i64 5
  %call_number = load i64, ptr %step
  %chunks = load i64, ptr %chunks_at
  %first = load i64, ptr %first_at
  %count = load i64, ptr %count_at
  %cost = load i64, ptr %cost_at
  %first_word = mul i64 %first, {ARGUMENT_WORDS}
  %step_arguments = getelementptr i64, ptr %all_arguments, i64 %first_word
  br label %next_argument
next_argument:
  %number = phi i64 [0, %begin], [%number_after, %bind]
  %more_arguments = icmp ult i64 %number, %count
  br i1 %more_arguments, label %bind, label %run
bind:
  %word = mul i64 %number, {ARGUMENT_WORDS}
  %slot_at = getelementptr i64, ptr %step_arguments, i64 %word
  %slot = load i64, ptr %slot_at
  %offset_at = getelementptr i64, ptr %slot_at, i64 1
  %offset = load i64, ptr %offset_at
  %value_at = getelementptr i64, ptr %values, i64 %slot
  %value = load i64, ptr %value_at
  %bound = add i64 %value, %offset
  %target = getelementptr i64, ptr %area, i64 %number
  store i64 %bound, ptr %target
  %number_after = add i64 %number, 1
  br label %next_argument
run:
  %call_word = mul i64 %call_number, {CALL_WORDS}
  %calls = getelementptr i64, ptr %all_calls, i64 %call_word
  call void @grad_parallel(ptr %calls, i64 %chunks, ptr %area, i64 %enough, i64 %cost)
  %step_after = add i64 %step_number, 1
  br label %next_step
done:
  ret void
}}
"""

# The builtins (METH_FASTCALL: self, arguments, their number). `replay` has the interpreter lock
# until the values are converted; a conversion that fails leaves Python's exception set and returns
# null. One value more than there are slots is 0: constants refer to it.
REPLAY = """
declare ptr @malloc(i64)
declare void @free(ptr)
declare ptr @PyBytes_AsString(ptr)
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyErr_Occurred()
declare ptr @PyErr_NoMemory()
declare ptr @PyErr_Format(ptr, ptr, ...)
declare ptr @PyObject_CallNoArgs(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
@grad_none = external global i8
@grad_type_error = external global i8
@grad_pool_starter = external global i8
@grad_pool_missing = external global i64
@message = private constant [52 x i8] c"this plan takes %zd slot values, but %zd were given\\00"
define internal ptr @replay(ptr %plan, ptr %given, i64 %count, i64 %first_step, i64 %last_step) {
entry:
  %slots = load i64, ptr %plan
  %right = icmp eq i64 %count, %slots
  br i1 %right, label %threads, label %wrong
wrong:
  %raised = call ptr (ptr, ptr, ...) @PyErr_Format(ptr @grad_type_error, ptr @message, i64 %slots,
    i64 %count)
  ret ptr null
threads:
  %missing = load atomic i64, ptr @grad_pool_missing monotonic, align 8
  %complete = icmp eq i64 %missing, 0
  br i1 %complete, label %reserve, label %start
start:
  %started = call ptr @PyObject_CallNoArgs(ptr @grad_pool_starter)
  %failed_start = icmp eq ptr %started, null
  br i1 %failed_start, label %fail, label %forget
forget:
  call void @Py_DecRef(ptr %started)
  br label %reserve
reserve:
  %area_at = getelementptr i64, ptr %plan, i64 3
  %area_words = load i64, ptr %area_at
  %value_words = add i64 %slots, 1
  %words = add i64 %value_words, %area_words
  %nbytes = mul i64 %words, 8
  %values = call ptr @malloc(i64 %nbytes)
  %none_left = icmp eq ptr %values, null
  br i1 %none_left, label %no_memory, label %next
no_memory:
  %set = call ptr @PyErr_NoMemory()
  ret ptr null
next:
  %number = phi i64 [0, %reserve], [%following, %keep]
  %more = icmp ult i64 %number, %slots
  br i1 %more, label %convert, label %run
convert:
  %object_at = getelementptr ptr, ptr %given, i64 %number
  %object = load ptr, ptr %object_at
  %value = call ptr @PyLong_AsVoidPtr(ptr %object)
  %suspect = icmp eq ptr %value, null
  br i1 %suspect, label %check, label %keep
check:
  %error = call ptr @PyErr_Occurred()
  %bad = icmp ne ptr %error, null
  br i1 %bad, label %abandon, label %keep
keep:
  %value_at = getelementptr ptr, ptr %values, i64 %number
  store ptr %value, ptr %value_at
  %following = add i64 %number, 1
  br label %next
abandon:
  call void @free(ptr %values)
  br label %fail
fail:
  ret ptr null
run:
  %zero_at = getelementptr i64, ptr %values, i64 %slots
  store i64 0, ptr %zero_at
  %area = getelementptr i64, ptr %values, i64 %value_words
  %thread = call ptr @PyEval_SaveThread()
  call void @execute(ptr %plan, ptr %values, ptr %area, i64 %first_step, i64 %last_step)
  call void @PyEval_RestoreThread(ptr %thread)
  call void @free(ptr %values)
  call void @Py_IncRef(ptr @grad_none)
  ret ptr @grad_none
}
define ptr @grad_replay(ptr %self, ptr %given, i64 %count) {
  %plan = call ptr @PyBytes_AsString(ptr %self)
  %steps_at = getelementptr i64, ptr %plan, i64 1
  %steps = load i64, ptr %steps_at
  %result = call ptr @replay(ptr %plan, ptr %given, i64 %count, i64 0, i64 %steps)
  ret ptr %result
}
define ptr @grad_replay_steps(ptr %self, ptr %given, i64 %count) {
  %plan = call ptr @PyBytes_AsString(ptr %self)
  %first_object = load ptr, ptr %given
  %first_pointer = call ptr @PyLong_AsVoidPtr(ptr %first_object)
  %first = ptrtoint ptr %first_pointer to i64
  %end_at = getelementptr ptr, ptr %given, i64 1
  %end_object = load ptr, ptr %end_at
  %end_pointer = call ptr @PyLong_AsVoidPtr(ptr %end_object)
  %end = ptrtoint ptr %end_pointer to i64
  %rest = getelementptr ptr, ptr %given, i64 2
  %rest_count = sub i64 %count, 2
  %result = call ptr @replay(ptr %plan, ptr %rest, i64 %rest_count, i64 %first, i64 %end)
  ret ptr %result
}
"""
