"""Which calls can fail: those of a library that talks to something, such as a database or a service."""

from __future__ import annotations

from functools import lru_cache

_DATABASES = frozenset(
    {
        "sqlite3", "aiosqlite", "psycopg", "psycopg2", "psycopg_pool", "asyncpg", "pg8000", "pymysql", "MySQLdb",
        "mysql", "aiomysql", "asyncmy", "mariadb", "oracledb", "cx_Oracle", "pyodbc", "pymssql", "duckdb", "snowflake",
        "sqlalchemy", "sqlmodel", "databases", "peewee", "tortoise", "pony", "ormar", "piccolo", "django.db",
    }
)  # fmt: skip
"""Drivers and ORMs, by the names of their packages. Of these only statements fail: the rest builds them."""
_STATEMENTS = frozenset(
    {
        "connect", "execute", "executemany", "executescript", "callproc", "exec", "exec_driver_sql", "copy",
        "copy_records_to_table", "copy_from", "copy_expert", "fetch", "fetchrow", "fetchval", "fetch_one", "fetch_all",
        "fetch_val", "execute_many", "commit", "flush", "refresh", "merge", "scalar", "scalars", "stream", "first",
        "one", "one_or_none", "all", "get", "get_one", "get_or_none", "count", "exists", "save", "insert",
        "insert_many", "create", "update", "delete", "get_or_create", "update_or_create", "bulk_create", "bulk_update",
        "in_bulk", "aget", "acreate", "asave", "adelete", "aupdate", "afirst", "acount", "aexists", "aget_or_create",
        "aupdate_or_create", "bulk_save_objects", "bulk_insert_mappings", "__exit__",
    }
)  # fmt: skip
_SERVICES = frozenset(
    {
        "redis", "valkey", "aioredis", "pymemcache", "memcache", "pylibmc", "django.core.cache", "pymongo", "motor",
        "mongoengine", "beanie", "cassandra", "neo4j", "elasticsearch", "opensearchpy", "clickhouse_driver",
        "clickhouse_connect", "influxdb_client", "requests", "httpx", "urllib3", "aiohttp", "urllib.request",
        "http.client", "niquests", "smtplib", "aiosmtplib", "django.core.mail", "ftplib", "imaplib", "poplib",
        "paramiko", "asyncssh", "grpc", "zeep", "boto3", "botocore", "aiobotocore", "aioboto3", "google.cloud",
        "google.api_core", "azure", "minio", "kafka", "confluent_kafka", "aiokafka", "pika", "aio_pika", "kombu",
        "celery", "dramatiq", "nats", "paho", "stripe", "twilio", "sendgrid", "slack_sdk", "mailjet_rest", "hvac",
        "consul", "etcd3", "kazoo",
    }
)  # fmt: skip
"""What talks to caches, servers and brokers, and sends mails."""
_QUIET = frozenset(
    {
        "close", "aclose", "json", "raise_for_status", "decode", "encode", "pipeline", "register_script", "from_url",
        "lock", "resource", "client", "delivery_tag", "read", "release", "value", "headers", "key", "topic",
        "partition", "offset", "timestamp", "error", "body",
    }
)  # fmt: skip
"""What a service's library does without talking, or when all is said."""
_LOUD = frozenset({"__call__"})
_LONGEST = 3
"""The parts of a module's name that are looked at."""
ENDS_A_TRANSACTION = frozenset({"commit", "__exit__"})
"""These fail only where what was to be committed can be rolled back, as its server does."""
ROLL_BACK_WHERE_LEFT = frozenset({"Atomic", "_atomic", "_transaction", "_savepoint"})
"""What Django and peewee have for a transaction: it rolls back where it is left with an error, and only so."""


def talks(module: str | None) -> bool:
    """Whether a module of this name belongs to such a library. Some classes that are written in C have none."""
    return module is not None and _kind(module) != ""


def is_statement(name: str) -> bool:
    """Whether a method of this name, of a database's library, is a statement or ends a transaction."""
    return name in _STATEMENTS


def can_fail(module: str, name: str) -> bool:
    """Whether a function of this name, of a module of this name, is a call that can fail."""
    kind = _kind(module)
    if kind == "database":
        return name in _STATEMENTS
    return kind == "service" and name not in _QUIET and (not name.startswith("__") or name in _LOUD)


@lru_cache(maxsize=1 << 12)
def _kind(module: str) -> str:
    parts = module.lstrip("_").split(".")
    for length in range(1, _LONGEST + 1):
        package = ".".join(parts[:length])
        if package in _DATABASES:
            return "database"
        if package in _SERVICES:
            return "service"
    return ""
