"""Memory and machine code, below anything that knows about tensors.

memory.py and buffer_pool.py hold host memory (grad/buffer.py is their face), disk_cache.py keeps
compiled code between processes, cpu/ compiles and runs it.
"""
