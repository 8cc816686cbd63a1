"""Reports as CSV (RFC 4180): a header line, one line for each row, in UTF-8.

The web server ends a streamed reply whose source fails as if it were complete. So a long file is written to disk first
and sent with its length: what is cut off on the way is then seen by the client, and what cannot be read is a 503.
"""

import csv
import io
import logging
from collections.abc import Iterable, Sequence
from tempfile import TemporaryFile
from typing import Any
from uuid import UUID

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.renderers import BaseRenderer

from reports.expensive import expensive
from web.problems import DownloadFailed, TooManyDownloads
from web.worker_slots import WorkerSlots

log = logging.getLogger(__name__)

MEDIA_TYPE = "text/csv"
# A client that takes its file slowly holds a thread; the others of the process (WEB_THREADS) stay free.
DOWNLOADS_AT_A_TIME = 2
# Of the file in one piece of the reply.
BYTES_AT_A_TIME = 65_536
# OWASP's list: a spreadsheet may take what begins with one of these for a formula. After an apostrophe it does not.
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | float | UUID
Table = Iterable[Sequence[Cell]]

_downloads = WorkerSlots(DOWNLOADS_AT_A_TIME, waiting=0, seconds=0)


class CsvRenderer(BaseRenderer):
    """Renders a table whose first row is the header."""

    media_type = MEDIA_TYPE
    format = "csv"

    def render(self, data: Table, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        text = io.StringIO()
        _write(text, data)
        return text.getvalue().encode()


class Download(FileResponse):
    """A table of any length as a file with a name.

    Raises what reading the table raises, TooManyDownloads, TooManyExpensiveReports and DownloadFailed.
    """

    block_size = BYTES_AT_A_TIME

    def __init__(self, table: Table, *, name: str) -> None:
        if not _downloads.acquire():
            raise TooManyDownloads
        try:
            # Before the reply is made: its Content-Length is the file's.
            with expensive():
                file = _file_of(table)
            super().__init__(file, as_attachment=True, filename=name, content_type=f"{MEDIA_TYPE}; charset=utf-8")
        except BaseException as error:
            _downloads.release()
            if isinstance(error, OSError):
                log.exception("A CSV file could not be written")
                raise DownloadFailed from error
            raise

    def close(self) -> None:
        if not self.closed:
            _downloads.release()
        super().close()


def attachment(name: str) -> dict[str, str]:
    """Return the header that makes a browser save a reply under this name."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def csv_or(report: Any, *, header: str) -> dict[Any, Any]:
    """Return the 200 of a report in both forms, as drf-spectacular's ``responses`` wants it."""
    description = (
        f"As CSV: `{header}` and a line for each. A cell that a spreadsheet could take for a formula, as a player id "
        "that begins with `@` or `-`, has an apostrophe before it; no player id has one of its own."
    )
    return {
        (200, "application/json"): OpenApiResponse(report, description=description),
        (200, MEDIA_TYPE): OpenApiTypes.STR,
    }


def _file_of(table: Table) -> Any:
    """Return a file that is deleted when it is closed."""
    file = TemporaryFile()  # noqa: SIM115  # the reply closes it
    try:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        _write(text, table)
        text.detach()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _write(file: Any, table: Table) -> None:
    csv.writer(file).writerows([_harmless(cell) for cell in row] for row in table)


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_BEGINNINGS) else cell
