"""Audit a database: check its rows and its bookkeeping against each other."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.query.audit.run_checks import Audit, Finding, run_audit
else:
    __getattr__, __dir__ = face(__name__, __file__)
