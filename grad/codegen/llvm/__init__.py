"""Kernels to LLVM IR for the CPU, with explicit vectors.

Read cpu.py (the backend), builder.py (how text is written), loops.py with addresses.py (loops and
lanes), instructions.py, conversions.py and elementary/ (arithmetic). Matrix products are a story of
their own that begins in contraction/emit.py.
"""
