"""Audit a database: whether everything that it says of itself holds."""

from collector.query.audit.audit import Audit, Finding, audit

__all__ = ["Audit", "Finding", "audit"]
