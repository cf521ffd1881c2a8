"""Seeing what runs: `explain` says what a function becomes."""

from __future__ import annotations

from grad.profiler.explain import Explanation, KernelExplanation, PlanExplanation, explain

__all__ = ["Explanation", "KernelExplanation", "PlanExplanation", "explain"]
