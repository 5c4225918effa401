"""`chaoskit init` for handlers whose source names the class of their value: `events(Order, keys="order_id")`."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from plugin.projects import LONELY, Project, Ran
from plugin.test_init import assert_formatted, repository, said_of
from plugin.test_init_guesses import init

MODELS = """
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from pydantic import BaseModel, Field

class Envelope(BaseModel):
    event_id: str

class OrderPlaced(Envelope):
    order_id: str
    status: Literal["open", "paid"] = "open"
    total: int = Field(gt=0)

@dataclass
class Payment:
    payment_id: str
    account: str
    amount: int
    kind: str = "payment"

class Stock(TypedDict):
    sku: str
    version: int
    left: int
    note: NotRequired[str]
"""
HANDLERS = '''
import json

from shop.models import OrderPlaced, Payment, Stock

class Validates:
    """As pydantic's page has it, of a message with JSON."""

    def __init__(self):
        self.totals, self.seen = {}, set()

    def handle(self, message):
        order = OrderPlaced.model_validate_json(message.value)
        if order.event_id in self.seen:
            return
        self.seen.add(order.event_id)
        self.totals[order.order_id] = self.totals.get(order.order_id, 0) + order.total

class Annotates:
    def __init__(self):
        self.balances, self.seen = {}, set()

    def handle(self, payment: Payment):
        if payment.payment_id in self.seen:
            return
        self.seen.add(payment.payment_id)
        sign = -1 if payment.kind == "refund" else 1
        self.balances[payment.account] = self.balances.get(payment.account, 0) + sign * payment.amount

class Unpacks:
    def __init__(self):
        self.balances, self.seen = {}, set()

    def handle(self, event):
        payment = Payment(**json.loads(event))
        if payment.payment_id in self.seen:
            return
        self.seen.add(payment.payment_id)
        self.balances[payment.account] = self.balances.get(payment.account, 0) + payment.amount

class Typed:
    def __init__(self):
        self.left, self.versions = {}, {}

    def handle(self, event: Stock):
        if event["version"] <= self.versions.get(event["sku"], 0):
            return
        self.versions[event["sku"]] = event["version"]
        self.left[event["sku"]] = event["left"]
'''

RIGHT = {
    "Validates": (
        'EVENTS = events(OrderPlaced, keys="order_id")',
        'update={"event_id": message.id}',
        ").model_dump_json()",
        "Guessed: `order_id` is the events' key",
    ),
    "Annotates": (
        '    st.builds(\n        Payment,\n        account=st.sampled_from(["account-1", "account-2"]),\n',
        "event = dataclasses.replace(message.value, payment_id=message.id)",
        "Guessed: what `kind` may be",
    ),
    "Unpacks": ('EVENTS = events(Payment, keys="account")', "dataclasses.asdict(", "json.dumps("),
    "Typed": ('EVENTS = events(Stock, keys="sku")', 'event = {**message.value, "version": message.seq}'),
}
"""Right handlers, and code and words in their tests."""


@attrs.frozen(eq=False)
class Guessed:
    project: Project
    tests: dict[str, str]
    ran: Ran


@pytest.fixture(scope="module")
def guessed(tmp_path_factory: pytest.TempPathFactory) -> Guessed:
    """The tests of all of them as they are written, in one run; and of a twin that forgets ids, in the same one."""
    pytest.importorskip("pydantic", reason="pydantic is missing")
    wrong = (
        HANDLERS.replace("class ", "class Wrong")
        .replace(".seen.add(", ".seen.discard(")
        .replace("self.versions[", "{}[")
    )
    files = {"shop/__init__.py": "", "shop/models.py": MODELS, "shop/right.py": HANDLERS, "shop/wrong.py": wrong}
    project = repository(tmp_path_factory.mktemp("classes") / "shop", **files)
    named = {name: f"shop.right:{name}" for name in RIGHT} | {
        f"Wrong{name}": f"shop.wrong:Wrong{name}" for name in RIGHT
    }
    tests = {
        name: init(project, asked, "--yes").rpartition("Next: pytest ")[2].split()[0] for name, asked in named.items()
    }
    ran = project.pytest("--chaos-seed=1", "--chaos-schedules=60", "-rA", *LONELY, env={"COLUMNS": "250"})
    return Guessed(project, tests, ran)


@pytest.mark.parametrize("name", RIGHT)
def test_the_class_is_the_values_and_its_test_tells_right_from_wrong(guessed: Guessed, name: str) -> None:
    text = (guessed.project.root / guessed.tests[name]).read_text()
    shown = " ".join(text.replace("#", " ").split())
    for part in RIGHT[name]:
        assert part in text or part in shown, text
    assert "TODO" not in text
    assert said_of(guessed.ran, guessed.tests[name]).startswith("PASSED"), guessed.ran.text
    assert said_of(guessed.ran, guessed.tests[f"Wrong{name}"]).startswith("FAILED")
    assert "does not survive" in said_of(guessed.ran, guessed.tests[f"Wrong{name}"])
    assert_formatted(guessed.project, guessed.tests[name])


BOUNDED = """
from typing import Annotated, Optional
from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt, conint, constr

class Price(BaseModel):
    sku: str
    amount: int
    event_id: {id}
    version: {version}

prices = {{}}
seen = set()

def handle(price: Price):
    if price.event_id not in seen and price.version > prices.get(price.sku, (0, 0))[0]:
        seen.add(price.event_id)
        prices[price.sku] = price.version, price.amount
"""


@pytest.mark.parametrize(
    ("version", "id_"),
    [
        ("int = Field(ge=1)", "str = Field(min_length=1, max_length=36)"),
        ("PositiveInt", "constr(min_length=1)"),
        ("Annotated[int, Field(gt=0, description='of the row')]", "Annotated[str, Field(max_length=64)]"),
        ("conint(ge=0)", "str"),
    ],
)
def test_bounds_that_take_the_events_own_numbers_keep_them_tied(version: str, id_: str, tmp_path: Path) -> None:
    source = tied(tmp_path, version, id_)
    assert '"version": message.seq' in source
    assert '"event_id": message.id' in source


def test_bounds_that_do_not_are_drawn(tmp_path: Path) -> None:
    source = tied(tmp_path, "int = Field(ge=100)", "str = Field(pattern='^[0-9]+$')")
    assert "message.seq" not in source
    assert "message.id" not in source


def tied(path: Path, version: str, id_: str) -> str:
    written = BOUNDED.format(version=version, id=id_)
    project = repository(path / "shop", **{"src/shop/prices.py": written})
    init(project, "shop.prices:handle", "--yes")
    (file,) = project.root.glob("tests/test_*_chaos.py")
    return file.read_text(encoding="utf-8")
