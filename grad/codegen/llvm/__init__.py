"""Kernels to LLVM IR for the CPU, with explicit vectors.

Read cpu.py (the backend), builder.py (how text is written; open_sizes.py: with sizes that are
arguments), loops.py with addresses.py (loops and
lanes), instructions.py, conversions.py and elementary/ (arithmetic). The folders contraction,
attention and convolution are stories of their own; each begins in its emit.py.
"""
