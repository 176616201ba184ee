"""The dashboard: files that a browser runs, without a build step, and the routes that give them out."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.serve.page.router import PageFile, page_files, page_router
    from collector.serve.page.session import session_router
else:
    __getattr__, __dir__ = face(__name__, __file__)
