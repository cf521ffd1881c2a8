"""The CPU runtime: LLVM IR text in, machine code run by all cores out.

Read host.py (what the CPU is), compiler.py (text to addresses), threads.py with pool_code.py and
pool_platforms.py (the thread pool), replay.py with replay_code.py (a whole plan in one native
call). LLVM itself is behind assembler.py, which is opened only where something has to be compiled;
loader.py puts objects into memory.
"""
