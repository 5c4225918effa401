"""From keys to partitions, against numbers that Kafka's and librdkafka's own tests and functions gave."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.brokers import Kafka
from chaoskit.brokers.partitioners import (
    KAFKA_PARTITIONERS,
    Partitioner,
    by_crc32,
    by_fnv1a,
    by_murmur2,
    murmur2,
)
from chaoskit.event import Event
from chaoskit.scenario import Scenario

WIDE = 2**32
"""With so many partitions the partition is the whole hash."""

KEYS = [f"key-{n}".encode() for n in range(10_000)]

with (Path(__file__).parent / "partitions.csv").open(encoding="utf-8", newline="") as file:
    TABLE = list(csv.DictReader(file))

COLUMNS = [
    *(("murmur2", "java", n) for n in (3, 6, 8, 12, 16)),
    *(("consistent_random", "crc", n) for n in (3, 6, 8, 12)),
    *(("fnv1a", "fnv", n) for n in (6, 12)),
]


def partition_of(key: object, broker: Kafka) -> int:
    """Where this broker puts a record with this key."""
    return partitions_of([key], broker)[0]


def partitions_of(keys: list[object], broker: Kafka) -> list[int]:
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
