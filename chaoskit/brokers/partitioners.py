"""From the bytes of a key to a partition, bit for bit as the clients compute it.

Sources: Kafka `Utils.murmur2` and `BuiltInPartitioner` (Java), librdkafka `rdkafka_msg.c` and CONFIGURATION.md
(`partitioner`). The hashes are checked against Kafka's `UtilsTest`, librdkafka's `0048-partitioner.c` and the
table in `tests/models`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

Partitioner = Callable[[bytes, int], int]

_M32 = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 (seed 0x9747b28c) as an unsigned 32-bit number."""
    m = 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & _M32
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & _M32
        k ^= k >> 24
        h = (h * m & _M32) ^ (k * m & _M32)
    if whole != len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & _M32
    h = (h ^ h >> 13) * m & _M32
    return h ^ h >> 15


def fnv1a(data: bytes) -> int:
    """FNV-1a, 32 bits, unsigned."""
    h = 0x811C9DC5
    for byte in data:
        h = (h ^ byte) * 0x01000193 & _M32
    return h


def by_murmur2(key: bytes, partitions: int) -> int:
    """Java's default for records with a key; also kafka-python, aiokafka and librdkafka's murmur2 variants."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def by_crc32(key: bytes, partitions: int) -> int:
    """librdkafka's `consistent` and `consistent_random`."""
    return zlib.crc32(key) % partitions


def by_fnv1a(key: bytes, partitions: int) -> int:
    """librdkafka's `fnv1a` and `fnv1a_random`: the hash folded to a non-negative int32."""
    h = fnv1a(key)
    return (0x100000000 - h if h & 0x80000000 else h) % partitions


KAFKA_PARTITIONERS: dict[str, tuple[Partitioner, bool, bool]] = {
    "murmur2": (by_murmur2, True, True),
    "murmur2_random": (by_murmur2, True, True),
    "consistent": (by_crc32, False, False),
    "consistent_random": (by_crc32, True, False),
    "fnv1a": (by_fnv1a, False, False),
    "fnv1a_random": (by_fnv1a, True, True),
}
"""By name: the hash, whether a record without a key may go to any partition, and whether an empty key is hashed.

`murmur2` is Java's default, which spreads records without a key. Where an empty key is not hashed, the
`_random` variant spreads it too (librdkafka: `consistent_random` treats empty and NULL keys alike).
"""
