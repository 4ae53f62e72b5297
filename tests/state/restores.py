"""Restores for tests: a dump cut into the commands that bring it back."""

import hashlib
from collections.abc import Iterator

import msgpack

from raftreg.cluster_commands import RestoreBegin, RestoreChunk, RestoreCommit
from raftreg.commands import Command


def restore_commands(dump: bytes, restore_id: str = "r", chunk_size: int = 100) -> Iterator[Command]:
    """What restores the dump, in parts of about that many bytes."""
    yield RestoreBegin(restore_id, index_of(dump))
    chunks = list(chunks_of(dump, chunk_size))
    for number, chunk in enumerate(chunks):
        yield RestoreChunk(restore_id, number, chunk)
    yield RestoreCommit(restore_id, hashlib.sha256(b"".join(chunks)).hexdigest())


def index_of(dump: bytes) -> int:
    """The command index at which the state was dumped."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(dump))
    unpacker.feed(dump[1:])
    index = unpacker.unpack()[0]
    assert isinstance(index, int)
    return index


def chunks_of(dump: bytes, size: int) -> Iterator[bytes]:
    """Whole msgpack objects, as many as make up `size` bytes."""
    unpacker = msgpack.Unpacker(unicode_errors="surrogateescape", max_buffer_size=len(dump))
    unpacker.feed(dump[1:])
    begin = end = 1
    while end < len(dump):
        unpacker.skip()
        end = 1 + unpacker.tell()
        if end - begin >= size or end == len(dump):
            yield dump[begin:end]
            begin = end
