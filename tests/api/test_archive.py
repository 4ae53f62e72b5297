"""Archives: what is written can be read, and nothing else gets in."""

import contextlib
import gzip
import hashlib
import io
import json
import tarfile

import pytest

from raftreg.api import archive
from raftreg.errors import Refused

META = archive.Meta(index=7, term=3, servers=[("id-1", "10.0.0.1:8300")], wall_s=1700000000.5)
PACKED = archive.pack(META, b"the dump")


def files() -> dict[str, bytes]:
    """The files of the archive."""
    with tarfile.open(fileobj=io.BytesIO(PACKED), mode="r:gz") as tar:
        return {header.name: tar.extractfile(header).read() for header in tar}  # type: ignore[union-attr]


def packed(contents: dict[str, bytes]) -> bytes:
    """An archive of these files, with whatever hashes they have."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in contents.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def with_sums(contents: dict[str, bytes]) -> dict[str, bytes]:
    """The files with right hashes."""
    named = {name: content for name, content in contents.items() if name != "SHA256SUMS"}
    lines = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in named.items())
    return named | {"SHA256SUMS": lines.encode()}


def test_archive_is_read_again() -> None:
    """The dump comes back, and the metadata is what Consul's tools expect."""
    assert b"the dump" == archive.unpack(PACKED)
    contents = files()
    assert ["meta.json", "state.bin", "SHA256SUMS"] == list(contents)
    meta = json.loads(contents["meta.json"])
    assert {
        "Version": 1,
        "ID": "3-7-1700000000500",
        "Index": 7,
        "Term": 3,
        "Peers": "ka0xMC4wLjAuMTo4MzAw",
        "Configuration": {"Servers": [{"Suffrage": 0, "ID": "id-1", "Address": "10.0.0.1:8300"}]},
        "ConfigurationIndex": 1,
        "Size": len(contents["state.bin"]),
    } == meta


def test_nothing_follows_the_end_of_the_tar() -> None:
    """Two empty blocks end it: Consul's tools refuse more."""
    unpacked = gzip.decompress(PACKED)
    assert bytes(1024) == unpacked[-1024:]
    assert bytes(1536) != unpacked[-1536:]


def refusal(data: bytes) -> str:
    """Why an archive is refused."""
    with pytest.raises(Refused) as caught:
        archive.unpack(data)
    return caught.value.text


def test_every_cut_is_noticed() -> None:
    """No proper prefix of an archive passes."""
    for size in range(
        len(PACKED) - 8
    ):  # the last eight bytes are the checksum of gzip, for whose lack there is EOF
        assert refusal(PACKED[:size])


@pytest.mark.parametrize("place", range(0, len(PACKED), 7))
def test_damage_is_noticed_or_harmless(place: int) -> None:
    """A changed byte is refused, or changed nothing that counts."""
    damaged = bytearray(PACKED)
    damaged[place] ^= 0x41
    with contextlib.suppress(Refused):
        assert b"the dump" == archive.unpack(bytes(damaged))


def test_each_mistake_is_named() -> None:
    """What is wrong is said in the words of Consul, as far as it has them."""
    contents = files()
    integrity = "failed to read snapshot file: failed checking integrity of snapshot:"
    assert "failed to decompress snapshot: EOF" == refusal(b"")
    assert "failed to decompress snapshot: unexpected EOF" == refusal(b"nope")
    assert "failed to decompress snapshot: gzip: invalid header" == refusal(b"something longer")
    changed = contents | {"state.bin": contents["state.bin"] + b"x"}
    assert f'{integrity} hash check failed for "state.bin"' == refusal(packed(changed))
    without = {name: content for name, content in contents.items() if name != "SHA256SUMS"}
    assert f'{integrity} file missing for "meta.json"' == refusal(packed(without))
    more = packed(contents | {"q.sh": b"x"})
    assert 'failed to read snapshot file: unexpected file "q.sh" in snapshot' == refusal(more)
    assert "meta.json says" in refusal(packed(with_sums(changed)))
    foreign = {"meta.json": json.dumps({"Version": 1, "Size": 3}).encode(), "state.bin": b"xyz"}
    assert "only archives of raftreg" in refusal(packed(with_sums(foreign)))
    for meta in (b"[]", b"x", b'{"Version": 2, "Size": 1}', b'{"Version": 1, "Size": "1"}', b"[" * 100_000):
        assert "snapshot" in refusal(packed(with_sums(contents | {"meta.json": meta})))


def test_bombs_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is unpacked than is allowed."""
    monkeypatch.setattr(archive, "UNPACKED_MAX", 1_000_000)
    with pytest.raises(Refused) as caught:
        archive.unpack(gzip.compress(bytes(10_000_000)))
    assert 413 == caught.value.status
