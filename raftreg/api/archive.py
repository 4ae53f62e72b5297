"""Snapshot archives as Consul's tools know them: a gzip-compressed tar of meta.json, state.bin and SHA256SUMS.

`state.bin` is a dump of `raftreg.state` behind a few bytes that say so; `consul snapshot inspect` and the
verification of `consul snapshot save` look at the rest. Nothing of an archive is believed before its hashes and
sizes were compared, and no more of it is unpacked than is allowed.
"""

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgpack

from raftreg.errors import Refused

UNPACKED_MAX: Final = 1024 * 1024 * 1024  # bytes of a whole archive without its compression
MAGIC: Final = b"raftreg state\0"
_VERSION: Final = 1
_LEVEL: Final = 1
_PIECE: Final = 1024 * 1024
_GZIP_HEAD: Final = 10  # bytes
_META, _STATE, _SUMS = "meta.json", "state.bin", "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Meta:
    """What an archive says of itself. `servers`: pairs of id and raft address; `wall_s`: seconds since the epoch."""

    index: int
    term: int
    servers: Sequence[tuple[str, str]]
    wall_s: float


def pack(meta: Meta, dump: bytes) -> bytes:
    """The archive of a dump. Takes its time: for a thread of its own."""
    state = MAGIC + dump
    described = json.dumps(_meta_json(meta, len(state)), separators=(",", ":")).encode() + b"\n"
    files = {_META: described, _STATE: state}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=_LEVEL, mtime=0) as stream:
        for name, content in {**files, _SUMS: sums.encode()}.items():
            header = tarfile.TarInfo(name)
            header.size, header.mode, header.mtime = len(content), 0o600, int(meta.wall_s)
            stream.write(header.tobuf(tarfile.USTAR_FORMAT))
            stream.write(content)
            stream.write(bytes(-len(content) % tarfile.BLOCKSIZE))
        # Two empty blocks and no more: Consul's tools refuse what follows the end, tarfile's own padding included.
        stream.write(bytes(2 * tarfile.BLOCKSIZE))
    return packed.getvalue()


def _meta_json(meta: Meta, size: int) -> dict[str, object]:
    addresses = [address for _, address in meta.servers]
    servers = [{"Suffrage": 0, "ID": server, "Address": address} for server, address in meta.servers]
    return {
        "Version": _VERSION,
        "ID": f"{meta.term}-{meta.index}-{int(meta.wall_s * 1000)}",
        "Index": meta.index,
        "Term": meta.term,
        "Peers": b64encode(msgpack.packb(addresses, use_bin_type=False)).decode("ascii"),
        "Configuration": {"Servers": servers},
        "ConfigurationIndex": 1,
        "Size": size,
    }


def unpack(data: bytes) -> bytes:
    """The dump in an archive. Refused, with what is wrong with it, for anything else. For a thread of its own."""
    try:
        files = _files(_decompress(data))
    except tarfile.TarError:
        raise _unreadable("failed to read or write snapshot data: unexpected EOF") from None
    _check_sums(files)
    size = _check_meta(files[_META])
    state = files[_STATE]
    if size != len(state):
        raise _unreadable(f"state.bin has {len(state)} bytes, and meta.json says {size}")
    if not state.startswith(MAGIC):
        raise _unreadable("state.bin was not written by raftreg: only archives of raftreg can be restored")
    return state[len(MAGIC) :]


def _unreadable(why: str) -> Refused:
    return Refused(500, f"failed to read snapshot file: {why}")


def _decompress(data: bytes) -> bytes:
    """The tar. It may be cut short; what is missing is noticed later."""
    if not data:
        raise Refused(500, "failed to decompress snapshot: EOF")
    pieces: list[bytes] = []
    size = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            while piece := stream.read(_PIECE):
                size += len(piece)
                if size > UNPACKED_MAX:
                    raise Refused(
                        413, f"the snapshot is larger than {UNPACKED_MAX} bytes without its compression"
                    )
                pieces.append(piece)
    except EOFError:
        if not pieces:
            raise Refused(500, "failed to decompress snapshot: unexpected EOF") from None
        raise _unreadable("failed to read or write snapshot data: unexpected EOF") from None
    except gzip.BadGzipFile:
        why = "unexpected EOF" if len(data) < _GZIP_HEAD else "gzip: invalid header"
        raise Refused(500, f"failed to decompress snapshot: {why}") from None
    except (OSError, zlib.error) as error:
        raise Refused(500, f"failed to decompress snapshot: {error}") from None
    return b"".join(pieces)


def _files(tar_data: bytes) -> dict[str, bytes]:
    """The files of the tar by name: exactly those that belong there."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(tar_data), mode="r:") as tar:
        for header in tar:
            if header.name not in (_META, _STATE, _SUMS) or not header.isreg():
                raise _unreadable(f'unexpected file "{header.name}" in snapshot')
            if header.name in files:
                raise _unreadable(f'file "{header.name}" is there twice')
            content = tar.extractfile(header)
            files[header.name] = b"" if content is None else content.read()
            if len(files[header.name]) != header.size:
                raise _unreadable("failed to read or write snapshot data: unexpected EOF")
    return files


def _check_sums(files: Mapping[str, bytes]) -> None:
    """Refused unless each file is there and has the hash that was written down for it."""
    integrity = "failed checking integrity of snapshot:"
    sums: dict[str, str] = {}
    for line in files.get(_SUMS, b"").decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    for name in (_META, _STATE):
        if name not in files or name not in sums:
            raise _unreadable(f'{integrity} file missing for "{name}"')
        if hashlib.sha256(files[name]).hexdigest() != sums[name]:
            raise _unreadable(f'{integrity} hash check failed for "{name}"')


def _check_meta(data: bytes) -> int:
    """The size of state.bin that meta.json says."""
    try:
        meta = json.loads(data)
        version, size = meta["Version"], meta["Size"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(f"failed to decode snapshot metadata: {error}") from None
    if version != _VERSION or not isinstance(size, int):
        raise _unreadable(f"unsupported snapshot version {str(version)[:20]}")
    return size
