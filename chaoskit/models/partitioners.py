"""From the bytes of a key to a partition, bit for bit as the clients compute it.

Sources: Kafka `Utils.murmur2` and `BuiltInPartitioner` (Java), librdkafka `rdkafka_msg.c` and CONFIGURATION.md
(`partitioner`); Kinesis' API reference (MD5 as a 128-bit number); RabbitMQ's stream Java client `HashUtils`; the NATS
documentation (subject mapping, `partition`); azure-eventhub `_partition_resolver.py`. The hashes are checked against
Kafka's `UtilsTest`, librdkafka's `0048-partitioner.c` and the tables in `tests/models`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable

Partitioner = Callable[[bytes, int], int]

_M32 = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 (seed 0x9747b28c) as an unsigned 32-bit number."""
    m = 0x5BD1E995
    # Masked, so that products overflow as Java's ints do and shifts are its unsigned ones.
    h = (0x9747B28C ^ len(data)) & _M32
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & _M32
        k ^= k >> 24
        h = (h * m & _M32) ^ (k * m & _M32)
    if whole != len(data):
        # Java's switch falls through for the last one to three bytes: together a little-endian number.
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
    # Kafka's `toPositive` clears the sign bit; it does not negate.
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def by_crc32(key: bytes, partitions: int) -> int:
    """librdkafka's `consistent` and `consistent_random`."""
    return zlib.crc32(key) % partitions


def by_fnv1a(key: bytes, partitions: int) -> int:
    """librdkafka's `fnv1a` and `fnv1a_random`: the hash folded to a non-negative int32."""
    h = fnv1a(key)
    # The absolute value of a signed number, which librdkafka takes to agree with Sarama.
    return (0x100000000 - h if h & 0x80000000 else h) % partitions


def by_md5_range(key: bytes, shards: int) -> int:
    """Kinesis: MD5 of the partition key as a 128-bit number, in the ranges of a stream with uniform shards."""
    # Python refuses MD5 on FIPS systems, unless it is declared that it guards nothing.
    number = int.from_bytes(hashlib.md5(key, usedforsecurity=False).digest(), "big")
    # The last range has what the division leaves over.
    return min(shards - 1, number // (2**128 // shards))


def by_fnv1a_plain(key: bytes, partitions: int) -> int:
    """NATS: `{{partition(n, …)}}` of a subject mapping."""
    return fnv1a(key) % partitions


def murmur3(data: bytes, seed: int = 104729) -> int:
    """MurmurHash3 x86, 32 bits, unsigned, with the seed of RabbitMQ's super streams."""
    h, whole = seed, len(data) & ~3
    for i in range(0, whole, 4):
        h = (_rotated(h ^ _mixed(int.from_bytes(data[i : i + 4], "little")), 13) * 5 + 0xE6546B64) & _M32
    if whole != len(data):
        h ^= _mixed(int.from_bytes(data[whole:], "little"))
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & _M32
    h = (h ^ h >> 13) * 0xC2B2AE35 & _M32
    return h ^ h >> 16


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _M32


def _mixed(k: int) -> int:
    return _rotated(k * 0xCC9E2D51 & _M32, 15) * 0x1B873593 & _M32


def by_murmur3(key: bytes, partitions: int) -> int:
    """RabbitMQ super streams: hash routing of the Java client and those compatible with it."""
    return murmur3(key) % partitions


def lookup3(data: bytes) -> int:
    """Jenkins' lookup3 as Event Hubs' SDKs fold it: 16 bits, signed."""
    a = b = c = (0xDEADBEEF + len(data)) & _M32
    # A last block of exactly twelve bytes is left to the final mix.
    while len(data) > 12:
        x, y, z = (int.from_bytes(data[i : i + 4], "little") for i in (0, 4, 8))
        a, b, c = _mix((a + x) & _M32, (b + y) & _M32, (c + z) & _M32)
        data = data[12:]
    # An empty key is not mixed at all.
    if data:
        data = data.ljust(12, b"\0")
        x, y, z = (int.from_bytes(data[i : i + 4], "little") for i in (0, 4, 8))
        b, c = _final((a + x) & _M32, (b + y) & _M32, (c + z) & _M32)
    folded = (c ^ b) & 0xFFFF
    return folded - 0x10000 if folded & 0x8000 else folded


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _M32) ^ _rotated(c, bits)
        c = (c + b) & _M32
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int]:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, bits)) & _M32
        a, b, c = b, c, a
    # Seven turns leave the names one place on: what lookup3 calls c is b here, and its b is a.
    return a, b


def by_lookup3(key: bytes, partitions: int) -> int:
    """Event Hubs' buffered producers. That the service hashes in the same way is not verified."""
    return lookup3(key) % partitions


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
