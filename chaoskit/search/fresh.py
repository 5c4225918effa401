"""How a run gets a fresh state with the frameworks that are there: advice where a state turns out not to be one."""

from __future__ import annotations

import sys

RECIPES = {
    "django": (
        "Django: the django_db mark begins one transaction for the whole test, so begin one for each run in the body, "
        "`with transaction.atomic():`, around deliver and what reads the state, and end it with "
        "`transaction.set_rollback(True)`; give the rows their ids, since sequences are not rolled back"
    ),
    "sqlalchemy": (
        "SQLAlchemy: in the body, make the engine with its tables (sqlite://, StaticPool), or take a connection, begin "
        "a transaction on it, give the handler "
        'sessionmaker(connection, join_transaction_mode="create_savepoint") and roll the transaction back; and open a '
        "session for each message, since one that all share keeps what a failed message left in it"
    ),
    "fastapi": (
        "FastAPI: build the app or set app.dependency_overrides in the body, with a database of this run behind them, "
        "and let the dependency open a connection for each request: one that all requests share mixes them up"
    ),
}
"""By the module whose presence says that it may be meant."""


def fresh_state() -> str:
    """The recipes for what is imported here, each a sentence after a blank; empty where nothing is known."""
    return "".join(f" {recipe}." for name, recipe in RECIPES.items() if name in sys.modules)
