"""The format of one segment of the write-ahead log. No IO happens here.

    segment = header, batch*, mark?, zeros*
    header  = magic "RAFTRWAL" (8), format version (4), length (4), CRC32C (4), msgpack body:
              [cluster id, member id, segment number, number of its first batch, first entry index or 0]
    batch   = magic (4), length of payload (4), batch number (8), highest entry index or 0 (8),
              record count (4), CRC32C of payload (4), CRC32C of this header (4),
              payload: as many lengths (4 each), the records
    mark    = a batch header with no records

All numbers are little endian. The checksum of a batch header begins with cluster, member, segment number and
offset, so that a batch copied from anywhere else does not validate.

One batch is one write and one sync, and batch k+1 is written only after batch k is durable. Batch numbers go
up by one, through all segments. That tells a torn tail from damage: the bytes after the last good batch k
belong to batch k+1, which was never acknowledged unless a later batch header proves that k+1 was durable. So
a batch is whole or not there: what is left of a torn one is dropped, though some of its records may be
readable, because none of them was ever acted upon.

Batch k itself, the newest, is proved by the mark: when the log falls idle, a header with number k+1 and no
records is written behind it, without a sync of its own (a killed process leaves it in the page cache, and the
kernel writes it out within seconds). The next batch overwrites it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c
import msgpack

SEGMENT_MAGIC = b"RAFTRWAL"
FORMAT_VERSION = 1
BATCH_MAGIC = b"\xf3WB\xa6"
MAX_RECORD_BYTES = 64 << 20
MAX_BATCH_BYTES = MAX_RECORD_BYTES + (16 << 20)

_HEADER = struct.Struct("<8sIII")
_BATCH = struct.Struct("<4sIQQIII")
_UNSUMMED = 32  # bytes of a batch header before its own checksum
_OFFSET = struct.Struct("<Q")
_LENGTH = struct.Struct("<I")
BATCH_HEADER_BYTES = _BATCH.size
RECORD_OVERHEAD_BYTES = _LENGTH.size


class BadSegment(Exception):
    """A segment fails its checks: `what` at `offset`."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(what)
        self.offset = offset
        self.what = what


class NewerFormat(Exception):
    """The segment was written by a newer program."""


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """Whose segment it is, and where in the log it stands."""

    cluster_id: str
    member_id: str
    number: int
    first_batch: int
    first_entry_index: int  # 0 if its first batch has no entry

    def encode(self) -> bytes:
        """The bytes at the beginning of the segment."""
        body: bytes = msgpack.packb(
            [self.cluster_id, self.member_id, self.number, self.first_batch, self.first_entry_index]
        )
        fields = _HEADER.pack(SEGMENT_MAGIC, FORMAT_VERSION, len(body), 0)
        return fields[:16] + _LENGTH.pack(google_crc32c.value(fields + body)) + body

    def seed(self) -> int:
        """What the checksums of the batch headers begin with."""
        return int(google_crc32c.value(f"{self.cluster_id}\0{self.member_id}\0{self.number}".encode()))


def decode_header(data: bytes) -> tuple[SegmentHeader, int]:
    """(header, offset of the first batch). Raises BadSegment or NewerFormat."""
    if len(data) < _HEADER.size:
        raise BadSegment(len(data), f"segment ends after {len(data)} bytes")
    magic, version, length, checksum = _HEADER.unpack_from(data)
    if magic != SEGMENT_MAGIC:
        raise BadSegment(0, "not a segment of a raftreg log")
    body = data[_HEADER.size : _HEADER.size + min(length, 4096)]
    if google_crc32c.value(data[:16] + b"\0\0\0\0" + body) != checksum:
        raise BadSegment(0, "checksum of the segment header does not match")
    if version > FORMAT_VERSION:
        raise NewerFormat(f"format version {version} is newer than this raftreg knows ({FORMAT_VERSION})")
    return SegmentHeader(*msgpack.unpackb(body)), _HEADER.size + length


def encode_batch(seed: int, offset: int, batch: int, top: int, records: list[bytes]) -> bytes:
    """One batch as it stands at `offset`. `top` is the highest entry index in it, 0 if none. No records

    a mark.
    """
    lengths = struct.pack(f"<{len(records)}I", *map(len, records))
    payload = b"".join([lengths, *records])
    fields = _BATCH.pack(BATCH_MAGIC, len(payload), batch, top, len(records), google_crc32c.value(payload), 0)
    fields = fields[:_UNSUMMED]
    checksum = google_crc32c.extend(seed, _OFFSET.pack(offset) + fields)
    return b"".join([fields, _LENGTH.pack(checksum), payload])


class SegmentReader:
    """Walks over the batches of a segment that is in memory.

    After `batches()` is exhausted, `last` is the offset of the last good batch, `end` that behind it, `next_batch`
    the number that belongs there and `top` the highest entry index seen.
    """

    def __init__(self, data: bytes, offset: int, seed: int, first_batch: int) -> None:
        self._data = data
        self._seed = seed
        self.last = self.end = offset
        self.next_batch = first_batch
        self.top = 0

    def batches(self) -> Iterator[list[bytes]]:
        """The records of each batch, up to the first that does not validate."""
        data, seed, size = self._data, self._seed, len(self._data)
        unpack, pack_offset, extend = _BATCH.unpack_from, _OFFSET.pack, google_crc32c.extend
        header = BATCH_HEADER_BYTES
        offset = self.end
        while size - offset >= header:
            magic, length, batch, top, count, payload_sum, header_sum = unpack(data, offset)
            if magic != BATCH_MAGIC or batch != self.next_batch or not count:
                return
            if extend(seed, pack_offset(offset) + data[offset : offset + _UNSUMMED]) != header_sum:
                return
            start = offset + header
            payload = data[start : start + length] if length <= MAX_BATCH_BYTES else b""
            if len(payload) != length or google_crc32c.value(payload) != payload_sum:
                return
            records = [payload[4:]] if count == 1 else _split(payload, count)
            self.last, offset = offset, start + length
            self.end, self.next_batch = offset, batch + 1
            if top > self.top:
                self.top = top
            yield records

    def later_proof(self) -> int | None:
        """The offset of a valid batch header behind `end` that proves that `next_batch` was durable, if any."""
        data = self._data
        offset = data.find(BATCH_MAGIC, self.end)
        while offset >= 0:
            number = self._header_at(offset)
            if number is not None and number > self.next_batch:
                return offset
            offset = data.find(BATCH_MAGIC, offset + 1)
        return None

    def unproved(self) -> bytes:
        """The last good batch, unless a mark behind it proves it durable."""
        return b"" if self._is_mark_at(self.end) else self._data[self.last : self.end]

    def torn_bytes(self) -> int:
        """How many bytes behind `end` are not zero (up to the last such), a mark that stands there left
        aside.
        """
        begin = self.end
        if self._is_mark_at(begin):
            begin += BATCH_HEADER_BYTES
        tail = self._data[begin:]
        # Comparing is much faster than stripping, and nearly always there are zeros only.
        return 0 if tail == bytes(len(tail)) else len(tail.rstrip(b"\0"))

    def _header_at(self, offset: int) -> int | None:
        """The batch number of a valid batch header at `offset`."""
        data = self._data
        if len(data) - offset < BATCH_HEADER_BYTES:
            return None
        fields = data[offset : offset + _UNSUMMED]
        (checksum,) = _LENGTH.unpack_from(data, offset + _UNSUMMED)
        if google_crc32c.extend(self._seed, _OFFSET.pack(offset) + fields) != checksum:
            return None
        number: int = _BATCH.unpack_from(data, offset)[2]
        return number

    def _is_mark_at(self, offset: int) -> bool:
        number = self._header_at(offset)
        return number == self.next_batch and _BATCH.unpack_from(self._data, offset)[4] == 0


def _split(payload: bytes, count: int) -> list[bytes]:
    """The records of a payload whose checksum was right; a wrong sum of lengths is a bug of the writer."""
    records = []
    offset = 4 * count
    for length in struct.unpack_from(f"<{count}I", payload):
        records.append(payload[offset : offset + length])
        offset += length
    if offset != len(payload):
        raise BadSegment(0, "a batch whose checksum is right does not hold what it says")
    return records
