"""Modules as functions of their parameters, under the name that they once had."""

from __future__ import annotations

from grad.func.modules import functional_call

__all__ = ["functional_call"]
