"""The projects that the tests of the plugin use, too."""

from plugin.conftest import first, saved, wallet

__all__ = ["first", "saved", "wallet"]
