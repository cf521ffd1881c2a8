"""Seeing what runs, as in ``torch.profiler``, and what a function becomes.

To read: record.py (what is noted), profile.py (when), table.py and export.py (how it is shown);
explain.py stands by itself.
"""

from __future__ import annotations

from grad.profiler.explain import Explanation, KernelExplanation, PlanExplanation, explain
from grad.profiler.profile import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    schedule,
    tensorboard_trace_handler,
)
from grad.profiler.record import record_function

__all__ = [
    "Explanation",
    "KernelExplanation",
    "PlanExplanation",
    "ProfilerAction",
    "ProfilerActivity",
    "explain",
    "profile",
    "record_function",
    "schedule",
    "tensorboard_trace_handler",
]
