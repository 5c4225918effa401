"""Ready-made domains with realistic payloads. The only place that knows Faker."""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit.strategies.streams import events
from chaoskit.values.event import Event

if TYPE_CHECKING:
    from faker import Faker

PEOPLE = 40
"""Different people, merchants and addresses. Each is made once, from its number, so that payloads replay."""


def wallet(*, accounts: int = 2, min_size: int = 1, max_size: int = 12) -> SearchStrategy[list[Event]]:
    """Credits and debits of a few accounts: what a payment service publishes.

    Keys are account numbers (IBAN). Values are dicts with `kind` ("credit" or "debit"), `amount` (whole cents, 1 to
    10,000), `currency`, `counterparty`, `reference` and `booked_at` (ISO 8601). Shrinks to small credits.
    """
    return events(
        # "credit" first, because that is what shrinking ends at.
        st.builds(_payment, st.sampled_from(["credit", "debit"]), st.integers(1, 10_000), _numbers()),
        st.integers(0, accounts - 1).map(_iban),
        min_size=min_size,
        max_size=max_size,
    )


def profile(*, users: int = 2, min_size: int = 1, max_size: int = 12) -> SearchStrategy[list[Event]]:
    """Updates of a few users' profiles, each with the whole new profile: what an account service publishes.

    Keys are user ids such as `user-1`. Values are dicts with `name`, `email`, `city`, `plan` ("free", "team",
    "business") and `updated_at` (ISO 8601).
    """
    return events(
        st.builds(_profile, _numbers(), st.sampled_from(["free", "team", "business"])),
        st.integers(1, users).map(lambda number: f"user-{number}"),
        min_size=min_size,
        max_size=max_size,
    )


def _numbers() -> SearchStrategy[int]:
    return st.integers(0, PEOPLE - 1)


@lru_cache(maxsize=1)
def _faker() -> Faker:
    from faker import Faker

    # Nobody needs names as often as they are in life, and without weights they are drawn faster.
    return Faker("en_US", use_weighting=False)


def _seeded(number: int) -> Faker:
    faker = _faker()
    # One Faker for all, seeded anew: to make one takes longer than all that it is asked for.
    faker.seed_instance(number)
    return faker


@lru_cache(maxsize=PEOPLE)
def _payer(number: int) -> dict[str, str]:
    faker = _seeded(number)
    return {
        "counterparty": faker.company(),
        "reference": faker.bothify("INV-####-????").upper(),
        "booked_at": faker.date_time_between_dates(*_year()).isoformat(),
    }


@lru_cache(maxsize=PEOPLE)
def _person(number: int) -> dict[str, str]:
    faker = _seeded(number)
    return {
        "name": faker.name(),
        "email": faker.email(domain="example.com"),
        "city": faker.city(),
        "updated_at": faker.date_time_between_dates(*_year()).isoformat(),
    }


@cache
def _iban(number: int) -> str:
    return str(_seeded(number).iban())


def _year() -> tuple[Any, Any]:
    # Fixed: what is drawn from "this year" would be other values next year.
    return datetime(2025, 1, 1), datetime(2025, 12, 31)


def _payment(kind: str, amount: int, payer: int) -> dict[str, Any]:
    return {"kind": kind, "amount": amount, "currency": "EUR", **_payer(payer)}


def _profile(person: int, plan: str) -> dict[str, Any]:
    return {**_person(person), "plan": plan}
