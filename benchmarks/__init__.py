"""Timings of micrograd, beside PyTorch where it is installed: `make bench`."""
