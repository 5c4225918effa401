"""Views of Django that a webhook calls: the path that leads to them, the settings, the rows that they write."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs

from chaoskit.generate.adapted import Adapted, Substitution, taking_value
from chaoskit.generate.classes import class_in, last_name
from chaoskit.generate.frameworks import framework_of
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.project import module_file, parse
from chaoskit.generate.requests import is_request_body, signed
from chaoskit.generate.source import Code, call, mapping, quoted
from chaoskit.values.errors import UsageError

TEST_HOST = '{{"Host": "testserver"}}'
"""What pytest-django allows."""
_REFERENCES = frozenset({"ForeignKey", "ManyToManyField", "OneToOneField"})
_STAMPED_BY_DJANGO = frozenset({"auto_now", "auto_now_add"})


def django_view(handler: FoundHandler) -> Adapted | None:
    """Raises UsageError where no path leads to the view, or no settings are found."""
    needed = [each.arg for each in handler.needed]
    if len(needed) != 1 or not framework_of(handler.tree, handler.function, needed).startswith("a Django view"):
        return None
    put = Substitution(is_request_body)
    value = taking_value(handler, handler.function, put)
    if not put.count:
        return None
    settings = settings_module(handler.base)
    path = _path_to(handler, settings)
    if settings is None or path is None:
        lacks = "no settings are named (DJANGO_SETTINGS_MODULE)" if settings is None else "no urlpatterns lead to it"
        raise UsageError(f"{handler.qualname} is a Django view, and {lacks} below {handler.base.name}/")
    sign = signed(handler)
    rows = rows_of(handler)
    return Adapted(
        value,
        "webhooks",
        "wsgi",
        ("{application}()", quoted(path)),
        "Webhook",
        sign.settings,
        options={**sign.options, "headers": f"lambda message: {TEST_HOST}"},
        objects={**sign.objects, **rows.objects},
        names={"application": ("django.core.wsgi", "get_wsgi_application"), **sign.names},
        before=rows.before,
        returns=rows.returns,
        decorators=rows.decorators,
        environment=sign.environment,
        pytest_settings={"DJANGO_SETTINGS_MODULE": settings},
    )


# The project.


def settings_module(base: Path) -> str | None:
    """As manage.py or the module of its WSGI application names it; else a settings.py that there is."""
    for file in [base / "manage.py", *sorted(base.glob("*/wsgi.py")), *sorted(base.glob("*/asgi.py"))]:
        tree = parse(file) if file.is_file() else None
        found = re.search(r"'DJANGO_SETTINGS_MODULE', '([\w.]+)'", ast.unparse(tree)) if tree else None
        if found:
            return found[1]
    files = [file for file in [base / "settings.py", *sorted(base.glob("*/settings.py"))] if file.is_file()]
    return ".".join(files[0].relative_to(base).with_suffix("").parts) if files else None


def _path_to(handler: FoundHandler, settings: str | None) -> str | None:
    """Of the first pattern below ROOT_URLCONF whose view is the handler."""
    root = _constant(handler.base, settings, "ROOT_URLCONF") if settings else None
    if root is None:
        return None
    view = handler.function.name
    return next((f"/{path}" for path, name in _patterns(handler.base, root, ()) if name == view), None)


def _constant(base: Path, module: str, name: str) -> str | None:
    file = module_file(module, [base])
    tree = parse(file) if file else None
    for node in tree.body if tree else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return str(node.value.value) if isinstance(node.value, ast.Constant) else None
    return None


def _patterns(base: Path, module: str, around: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The paths of a module of patterns with the names of their views; those of modules that it includes, too."""
    file = module_file(module, [base])
    tree = parse(file) if file and module not in around else None
    for node in ast.walk(tree) if tree else ():
        if not isinstance(node, ast.Call) or last_name(node) not in ("path", "re_path") or len(node.args) < 2:
            continue
        at, to = node.args[0], node.args[1]
        # A part of the path that is an argument makes the view take more than a request.
        if not isinstance(at, ast.Constant) or not isinstance(at.value, str) or "<" in at.value:
            continue
        path = at.value.lstrip("^").rstrip("$")
        if isinstance(to, ast.Call) and last_name(to) == "include":
            inner = to.args[0] if to.args else None
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield from ((path + rest, view) for rest, view in _patterns(base, inner.value, (*around, module)))
        elif isinstance(to, ast.Call) and last_name(to) == "csrf_exempt" and to.args:
            yield path, last_name(to.args[0])
        else:
            yield path, last_name(to)


# The rows.


@attrs.frozen(eq=False)
class ModelRows:
    """What a test needs for the rows of the models that a handler uses: as in Adapted."""

    objects: Mapping[str, str]
    before: tuple[str, ...]
    returns: Callable[[Mapping[str, str]], Code] | None
    decorators: tuple[str, ...]


def rows_of(handler: FoundHandler) -> ModelRows:
    models = list(_models(handler))
    made = {f"model{number}": model for number, (model, _, _) in enumerate(models)}
    # Rows that refer to others go first: those others may be protected.
    order = sorted(made, key=lambda name: not models[list(made).index(name)][2])
    return ModelRows(
        made,
        tuple(f"{{{name}}}.objects.all().delete()  # fresh state for every schedule" for name in order),
        _rows([(model, fields) for model, fields, _ in models]),
        ("{pytest}.mark.django_db(transaction=True)",) if models else (),
    )


def _models(handler: FoundHandler) -> Iterator[tuple[str, list[str], bool]]:
    """The models of which the module uses `objects`, with the fields that can be compared, and whether they refer to
    others."""
    imported: dict[str, str] = {}
    package = handler.module.rpartition(".")[0]
    for node in handler.tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[-1] == "models":
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*filter(None, above), node.module or ""])
            imported |= {alias.asname or alias.name: module for alias in node.names}
    used = {
        node.value.id
        for node in ast.walk(handler.tree)
        if isinstance(node, ast.Attribute) and node.attr == "objects" and isinstance(node.value, ast.Name)
    }
    for name, module in imported.items():
        if name in used:
            file = module_file(module, [handler.base])
            kind = class_in(parse(file), name) if file else None
            refers = kind is not None and any(last_name(call) in _REFERENCES for call in _made_in(kind))
            yield name, _fields(kind), refers


def _made_in(kind: ast.ClassDef) -> list[ast.Call]:
    return [node.value for node in kind.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]


def _fields(kind: ast.ClassDef | None) -> list[str]:
    found: list[str] = []
    for node in kind.body if kind else ():
        made = node.value if isinstance(node, ast.Assign) else None
        if not isinstance(node, ast.Assign) or not isinstance(made, ast.Call):
            continue
        field, given = last_name(made), {word.arg for word in made.keywords}
        # Numbers and times that the database or Django gives are not the same in every run.
        is_plain = field.endswith("Field") and not field.endswith("AutoField") and field not in _REFERENCES
        if is_plain and not given & _STAMPED_BY_DJANGO:
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return found


def _rows(models: list[tuple[str, list[str]]]) -> Callable[[Mapping[str, str]], Code] | None:
    """The source of all rows that the models have, in an order that is not that in which they were written."""
    if not models:
        return None

    def returned(said: Mapping[str, str]) -> Code:
        rows = {
            name: call(
                "sorted", [call(f"{said[f'model{number}']}.objects.values_list", map(quoted, fields))], {"key": "repr"}
            )
            for number, (name, fields) in enumerate(models)
        }
        return (
            mapping((quoted(name), each) for name, each in rows.items()) if len(rows) > 1 else next(iter(rows.values()))
        )

    return returned
