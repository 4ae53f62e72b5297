"""/v1/snapshot: the whole state as an archive, and back.

An archive is checked from end to end before anything is written. Then it goes through the log in parts, which every
node collects, and the last command makes all nodes change at the same place of the log. Whoever dies meanwhile, the
state is the old one or the new one.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterator
from typing import Final, cast

import msgpack

from raftreg import codec
from raftreg.api.agent_records import OWN_NODE_WAIT_S
from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.members import node_ids
from raftreg.api.options import check_datacenter, parse_options
from raftreg.api.render import empty_response, index_headers
from raftreg.cluster_commands import RestoreBegin, RestoreChunk, RestoreCommit
from raftreg.errors import Refused
from raftreg.registry import ReadOptions
from raftreg.state.cluster_queries import RestoreProgress
from raftreg.state.queries import NodeServices

log = logging.getLogger(__name__)

BODY_MAX: Final = 512 * 1024 * 1024
CONTENT_TYPE: Final = "application/x-gzip"
CHUNK_BYTES: Final = 128 * 1024  # a part is applied between two heartbeats, many small records included
_OBJECT_BYTES_MAX: Final = 2 * 1024 * 1024  # of one msgpack object; larger ones are cut into their rows


async def get(context: ApiContext, request: Request) -> Response:
    """GET /v1/snapshot: as fresh as was asked for; on this node, while it goes on working."""
    options = parse_options(context, request)
    check_datacenter(context, options.datacenter)
    answer = await context.registry.read(RestoreProgress(), ReadOptions(options.read.mode))
    registry = context.registry
    index, encode, status = registry.state.index, registry.state.freeze_archive(), registry.consensus.status()
    ids = node_ids(context)
    servers = [(ids.get(peer.name.lower(), peer.id), peer.address) for peer in status.peers if peer.voter]
    from raftreg.api import archive  # tarfile is not needed to start

    meta = archive.Meta(index, status.term, servers, context.clock.wall())
    body = await asyncio.to_thread(lambda: archive.pack(meta, b"".join(encode())))
    headers = index_headers(options, answer, effective=False)
    return Response(200, headers | {"Content-Type": CONTENT_TYPE}, body)


async def put(context: ApiContext, request: Request) -> Response:
    """PUT /v1/snapshot: replace the state of the whole cluster by that of an archive."""
    options = parse_options(context, request)
    check_datacenter(context, options.datacenter)
    body, request.body = request.body, b""  # nobody else shall keep it in memory
    state = context.registry.state
    from raftreg.api import archive

    dump = await asyncio.to_thread(archive.unpack, body)
    del body
    try:
        index = await asyncio.to_thread(state.check_archive, dump)
    except ValueError as error:
        raise Refused(500, f"failed to read snapshot file: {error}") from None
    await _restore(context, dump, index)
    own = NodeServices(context.node_name)
    found = context.registry.local(own)
    if found.value is None:  # the archive is that of another cluster; this node is about to register itself
        waiting = ReadOptions(mode="stale", index=found.index, wait_s=OWN_NODE_WAIT_S)
        await context.registry.read(own, waiting)
    return empty_response()


async def _restore(context: ApiContext, dump: bytes, index: int) -> None:
    """Replicate the dump and have all nodes become it."""
    write = context.registry.write
    restore_id = context.clock.uuid()
    log.info("restoring an archive of index %d, %d bytes", index, len(dump))
    await write(RestoreBegin(restore_id, index))
    digest = hashlib.sha256()
    for number, chunk in enumerate(chunks_of(dump)):
        digest.update(chunk)
        await write(RestoreChunk(restore_id, number, chunk))
    written = await write(RestoreCommit(restore_id, digest.hexdigest()))
    log.info("restored the archive of index %d, at index %d now", index, written.index)


def chunks_of(dump: bytes) -> Iterator[bytes]:
    """A dump without its version byte, in parts of whole msgpack objects."""
    unpacker = msgpack.Unpacker(unicode_errors="surrogateescape", max_buffer_size=len(dump))
    unpacker.feed(memoryview(dump)[1:])
    begin = end = 1
    while end < len(dump):
        start = end
        unpacker.skip()
        end = 1 + unpacker.tell()
        if end - start > _OBJECT_BYTES_MAX:
            if start > begin:
                yield dump[begin:start]
            yield from _rows_of(dump[start:end])
            begin = end
        elif end - begin >= CHUNK_BYTES or end == len(dump):
            yield dump[begin:end]
            begin = end


def _rows_of(packed: bytes) -> Iterator[bytes]:
    """A large piece of a section as one object per row."""
    number, rows = cast("tuple[int, list[object]]", codec.unpack_bare(packed, "piece"))
    pack = codec.new_packer()
    for row in rows:
        yield pack([number, [row]])
