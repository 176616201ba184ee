"""Audit a database: check its rows and its bookkeeping against each other."""

from collector.query.audit.audit import Audit, Finding, audit

__all__ = ["Audit", "Finding", "audit"]
