"""From keys to partitions, against numbers that the clients' own tests, functions and documentation gave."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaoskit.brokers import EventHubs, JetStream, Kafka, Kinesis, RabbitMQStream
from chaoskit.models.partitioners import (
    KAFKA_PARTITIONERS,
    Partitioner,
    by_crc32,
    by_fnv1a,
    by_fnv1a_plain,
    by_lookup3,
    by_md5_range,
    by_murmur2,
    by_murmur3,
    fnv1a,
    lookup3,
    murmur2,
    murmur3,
)
from chaoskit.values.event import Event
from chaoskit.values.scenario import Scenario

WIDE = 2**32
"""With so many partitions the partition is the whole hash."""

KEYS = [f"key-{n}".encode() for n in range(10_000)]

with (Path(__file__).parent / "partitions.csv").open(encoding="utf-8", newline="") as file:
    TABLE = list(csv.DictReader(file))

with (Path(__file__).parent / "partitions_elsewhere.csv").open(encoding="utf-8", newline="") as file:
    ELSEWHERE = list(csv.DictReader(file))

COLUMNS = [
    *(("murmur2", "java", n) for n in (3, 6, 8, 12, 16)),
    *(("consistent_random", "crc", n) for n in (3, 6, 8, 12)),
    *(("fnv1a", "fnv", n) for n in (6, 12)),
]


def partition_of(key: object, broker: Any) -> int:
    """Where this broker puts a record with this key."""
    return partitions_of([key], broker)[0]


def partitions_of(keys: list[object], broker: Any) -> list[int]:
    steps = Scenario([Event(key, n) for n, key in enumerate(keys)], broker).schedule().steps
    return [step.partition for step in steps if step.partition is not None]


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("abc", 479470107),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("", 275646681),
    ],
)
def test_murmur2_gives_the_constants_of_kafkas_own_test(key: str, signed: int) -> None:
    """Kafka's `UtilsTest.testMurmur2` expects these signed 32-bit numbers."""
    assert murmur2(key.encode()) == signed % 2**32


@pytest.mark.parametrize(
    ("key", "crc32", "java", "fnv1a"),
    [
        ("23456", 0xB1B451D7, 0x058D780F, 0x27E6F469),
        ("this is another string with more length to it perhaps", 0xB0150DF7, 0x4F7703DA, 0x155E3E5F),
        ("hejsan", 0xD077037E, 0x5EC19395, 0x17B1E27A),
        ("", 0x0, 0x106E08D9, 0x7EE3623B),
    ],
)
def test_hashes_give_the_constants_of_librdkafkas_own_test(key: str, crc32: int, java: int, fnv1a: int) -> None:
    """librdkafka's `0048-partitioner.c` expects these numbers before the modulo."""
    data = key.encode()
    assert (by_crc32(data, WIDE), by_murmur2(data, WIDE), by_fnv1a(data, WIDE)) == (crc32, java, fnv1a)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row["key"].encode()))
def test_hashes_agree_with_the_table(row: dict[str, str]) -> None:
    """The murmur2 and CRC-32 of each key of the table are those that the clients computed."""
    data = row["key"].encode()
    assert by_murmur2(data, WIDE) == int(row["murmur2"])
    assert by_crc32(data, WIDE) == int(row["crc32"], 16)


@pytest.mark.parametrize(("partitioner", "column", "partitions"), COLUMNS)
def test_a_topic_puts_each_key_of_the_table_where_its_client_does(
    partitioner: str, column: str, partitions: int
) -> None:
    """Each key of the table lands on the partition that the client with this partitioner chose."""
    broker = Kafka(partitions=partitions, partitioner=partitioner)
    got = {row["key"]: partition_of(row["key"], broker) for row in TABLE}
    assert got == {row["key"]: int(row[f"{column}_{partitions}"]) for row in TABLE}


def test_the_table_is_whole() -> None:
    """All 35 keys of the fact sheet are there, non-ASCII ones included."""
    assert len(TABLE) == 35
    assert {"ключ", "é"} <= {row["key"] for row in TABLE}


def _big_endian(size: int) -> Callable[[int], bytes]:
    return lambda number: number.to_bytes(size, "big", signed=True)


@pytest.mark.parametrize(
    ("number", "int64", "int32", "decimal"),
    [
        (0, (5, 11), (4, 4), (2, 8)),
        (1, (0, 0), (0, 0), (3, 3)),
        (42, (4, 4), (0, 0), (4, 4)),
        (1000, (1, 7), (2, 8), (4, 10)),
        (-1, (5, 5), (5, 5), (3, 3)),
    ],
)
def test_the_bytes_of_a_key_decide_and_not_its_value(
    number: int, int64: tuple[int, int], int32: tuple[int, int], decimal: tuple[int, int]
) -> None:
    """One number as Java's LongSerializer, IntegerSerializer and as text goes to different partitions."""
    serializers = [_big_endian(8), _big_endian(4), lambda number: str(number).encode()]
    for serializer, expected in zip(serializers, (int64, int32, decimal), strict=True):
        got = tuple(partition_of(number, Kafka(partitions=n, key_serializer=serializer)) for n in (6, 12))
        assert got == expected


def test_text_and_its_utf8_bytes_are_one_key() -> None:
    """A `str` key is sent as UTF-8, so that the same bytes land on the same partition."""
    for row in TABLE:
        assert partition_of(row["key"], Kafka()) == partition_of(row["key"].encode(), Kafka())


def _moved(hash_: Partitioner, old: int, new: int) -> float:
    """Percent of the keys that are elsewhere after the topic grew."""
    return sum(hash_(key, old) != hash_(key, new) for key in KEYS) * 100 / len(KEYS)


@pytest.mark.parametrize(
    ("old", "new", "percent"), [(6, 12, 50.17), (6, 8, 76.15), (6, 7, 85.95), (3, 6, 49.19), (1, 2, 48.88)]
)
def test_growth_moves_as_many_keys_as_it_does_in_java(old: int, new: int, percent: float) -> None:
    """Of `key-0` to `key-9999` exactly this part lands elsewhere when the topic grows."""
    assert _moved(by_murmur2, old, new) == pytest.approx(percent, abs=1e-9)


@pytest.mark.parametrize("hash_", [by_murmur2, by_crc32])
def test_doubling_a_topic_moves_a_key_nowhere_or_up_by_the_old_count(hash_: Partitioner) -> None:
    """For every key the partition of 12, modulo 6, is its partition of 6."""
    assert all(hash_(key, 12) % 6 == hash_(key, 6) for key in KEYS)


@pytest.mark.parametrize(("partitions", "percent"), [(6, 16.81), (12, 8.56)])
def test_java_and_librdkafka_agree_only_by_chance(partitions: int, percent: float) -> None:
    """The defaults of Java and of librdkafka put the same key on the same partition this often."""
    agree = sum(by_murmur2(key, partitions) == by_crc32(key, partitions) for key in KEYS)
    assert agree * 100 / len(KEYS) == pytest.approx(percent, abs=1e-9)


SPREADS_NONE = {"murmur2", "murmur2_random", "consistent_random", "fnv1a_random"}
SPREADS_EMPTY = {"consistent_random"}


def _spreads(key: object, partitioner: str) -> bool:
    return len(set(partitions_of([key] * 12, Kafka(partitions=6, partitioner=partitioner)))) > 1


@pytest.mark.parametrize("partitioner", sorted(KAFKA_PARTITIONERS))
def test_java_and_the_random_variants_spread_records_without_a_key(partitioner: str) -> None:
    """Java's default and librdkafka's `_random` partitioners give a None key no affinity; the others do."""
    assert _spreads(None, partitioner) == (partitioner in SPREADS_NONE)


@pytest.mark.parametrize("key", ["", b""])
@pytest.mark.parametrize("partitioner", sorted(KAFKA_PARTITIONERS))
def test_only_consistent_random_spreads_empty_keys(partitioner: str, key: object) -> None:
    """librdkafka's default treats an empty key as none; all others hash it."""
    assert _spreads(key, partitioner) == (partitioner in SPREADS_EMPTY)


def test_records_without_affinity_reach_every_partition() -> None:
    """Twelve records without a key are spread over all six partitions."""
    assert set(partitions_of([None] * 12, Kafka(partitions=6))) == set(range(6))


def test_an_empty_key_goes_where_its_hash_says() -> None:
    """Java hashes the empty key to 275646681, so that it goes to partition 3 of 6."""
    assert partition_of("", Kafka(partitions=6)) == 275646681 % 6 == 3


def test_a_key_without_affinity_in_consistent_is_the_first_partition() -> None:
    """librdkafka's `consistent` maps empty and None keys to one partition: the CRC-32 of nothing is 0."""
    broker = Kafka(partitions=6, partitioner="consistent")
    assert set(partitions_of([None, "", b"", None], broker)) == {0}


# Kinesis, NATS, RabbitMQ super streams and Event Hubs.


def md5(data: bytes) -> int:
    """Kinesis' hash key: so many shards that each number has its own."""
    return by_md5_range(data, 2**128)


HASHES: dict[str, Callable[[bytes], int]] = {
    "md5_range": md5, "fnv1a_plain": fnv1a, "murmur3": murmur3, "lookup3": lookup3
}  # fmt: skip
BY: dict[str, Partitioner] = {
    "md5_range": by_md5_range, "fnv1a_plain": by_fnv1a_plain, "murmur3": by_murmur3, "lookup3": by_lookup3
}  # fmt: skip
SYSTEMS: dict[str, Callable[[int], Any]] = {
    "md5_range": lambda n: Kinesis(shards=n),
    "fnv1a_plain": lambda n: JetStream(partitions=n),
    "murmur3": lambda n: RabbitMQStream(partitions=n),
    "lookup3": lambda n: EventHubs(partitions=n),
}


def counts(row: dict[str, str]) -> dict[int, int]:
    """The partition for each number of partitions that the row has."""
    return {int(name): int(value) for name, value in row.items() if name.isdigit() and value}


@pytest.mark.parametrize("row", ELSEWHERE, ids=lambda row: f"{row['by']}-{row['key'].encode()}")
def test_the_other_hashes_agree_with_their_table(row: dict[str, str]) -> None:
    """MD5 (Kinesis), FNV-1a (NATS), MurmurHash3 (RabbitMQ) and lookup3 (Event Hubs) give the number of the table, and
    the partition for each number of partitions."""
    data = row["key"].encode()
    assert HASHES[row["by"]](data) == int(row["hash"])
    assert {n: BY[row["by"]](data, n) for n in counts(row)} == counts(row)


@pytest.mark.parametrize("by", SYSTEMS)
def test_a_system_puts_each_key_of_its_table_where_its_client_does(by: str) -> None:
    """Each key lands in the shard or partition that the system's own client chose."""
    for row in (row for row in ELSEWHERE if row["by"] == by):
        assert {n: partition_of(row["key"], SYSTEMS[by](n)) for n in counts(row)} == counts(row)


def test_the_table_of_the_others_is_whole() -> None:
    """Ten keys of Kinesis (one is not ASCII), eleven of NATS, nine of RabbitMQ and six of Event Hubs."""
    assert {by: sum(row["by"] == by for row in ELSEWHERE) for by in BY} == {
        "md5_range": 10, "fnv1a_plain": 11, "murmur3": 9, "lookup3": 6
    }  # fmt: skip
    assert any(not row["key"].isascii() for row in ELSEWHERE)


@pytest.mark.parametrize(
    ("shards", "starts"),
    [
        (2, [170141183460469231731687303715884105728]),
        (3, [113427455640312821154458202477256070485, 226854911280625642308916404954512140970]),
        (4, [85070591730234615865843651857942052864, 2**127, 255211775190703847597530955573826158592]),
    ],
)
def test_shards_begin_where_a_uniform_stream_has_them(
    shards: int, starts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first hash key of each shard belongs to it, and the one before to the shard before; the last shard takes
    what is left over."""

    class Digest:
        def __init__(self, data: bytes, **_: object) -> None:
            self.data = data

        def digest(self) -> bytes:
            return self.data

    monkeypatch.setattr("hashlib.md5", Digest)
    for shard, start in enumerate(starts, start=1):
        assert by_md5_range(start.to_bytes(16, "big"), shards) == shard
        assert by_md5_range((start - 1).to_bytes(16, "big"), shards) == shard - 1
    assert by_md5_range(b"\xff" * 16, shards) == shards - 1


@pytest.mark.parametrize(
    ("keys", "partitions", "expected"),
    [
        ([f"customerid{n}" for n in range(1, 7)], 3, [0, 2, 1, 2, 1, 0]),
        (["1a", "1b", "2b", "2a"], 10, [1, 0, 9, 2]),
    ],
)
def test_nats_documentation_shows_these_partitions(keys: list[object], partitions: int, expected: list[int]) -> None:
    """The two examples of `partition()` in the NATS documentation of subject mappings."""
    assert partitions_of(keys, JetStream(partitions=partitions)) == expected
