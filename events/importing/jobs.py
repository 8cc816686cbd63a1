"""The lines of dumps, cut to jobs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from events.importing.checkpoint import Checkpoint
from events.importing.dump import Dump

# Small enough that little is repeated after a kill, large enough that handing over costs nothing.
LINES_PER_JOB = 2_000


@dataclass(frozen=True, slots=True)
class JobEnd:
    """Where a job ends: number of the file, number of its last line, bytes of all files up to there, on disk."""

    file: int
    line: int
    position: int


@dataclass(frozen=True, slots=True)
class Job:
    """Lines of the dump with the identity ``dump``; ``number`` orders the jobs of one import, from 0 on."""

    number: int
    end: JobEnd
    dump: str
    first_line: int
    lines: list[bytes]


def jobs_behind(checkpoint: Checkpoint, dumps: Sequence[Dump]) -> Iterator[Job]:
    """Yield the lines behind the checkpoint as jobs, in order. Raises DumpError where a file breaks off."""
    number = 0
    position = sum(dump.size for dump in dumps[: checkpoint.file])
    for file in range(checkpoint.file, len(dumps)):
        after = checkpoint.line if file == checkpoint.file else 0
        for first_line, lines, end in _pieces(dumps[file], after_line=after):
            where = JobEnd(file, first_line + len(lines) - 1, position + end)
            yield Job(number, where, checkpoint.files[file], first_line, lines)
            number += 1
        position += dumps[file].size


def _pieces(dump: Dump, *, after_line: int) -> Iterator[tuple[int, list[bytes], int]]:
    """Yield the number of the first line of each piece, its lines, and the bytes of the file up to its end."""
    for block in dump.blocks():
        for first in range(max(0, after_line + 1 - block.first_line), len(block.lines), LINES_PER_JOB):
            yield block.first_line + first, block.lines[first : first + LINES_PER_JOB], block.position
