"""Commands that a client sends over its connection, and the venue's answers and errors, word for word."""

from __future__ import annotations

import json
from typing import Any, Protocol

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_VARIANTS = ", ".join(f"`{method}`" for method in METHODS)
_ID_CHARACTERS_MAX = 36


class Subscriber(Protocol):
    """What a command may change."""

    is_combined: bool
    subscriptions: dict[str, None]
    streams_max: int


class _RefusedError(Exception):
    """Raised where a command is answered with an error object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def answer(text: str | bytes, client: Subscriber) -> bytes:
    """Do what a message of a client asks, and the answer to it; never raises."""
    identity: Any = None
    try:
        command = _read(text)
        identity = _identity(command)
        result = _do(command, client)
    except _RefusedError as refused:
        error = {"error": {"code": refused.code, "msg": refused.message}}
        return _text(error if identity is None else {**error, "id": identity})
    return _text({"result": result, "id": identity})


def _text(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def _read(text: str | bytes) -> dict[str, Any]:
    try:
        command = json.loads(text)
    except (ValueError, RecursionError) as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        raise _RefusedError(3, f"Invalid JSON: expected value at line {line} column {column}") from None
    if not isinstance(command, dict):
        raise _RefusedError(2, "Invalid request: expected an object")
    return command


def _identity(command: dict[str, Any]) -> Any:
    """The id of a command: a whole number, a short text, or null."""
    identity = command.get("id")
    is_text = isinstance(identity, str) and len(identity) <= _ID_CHARACTERS_MAX
    is_whole = isinstance(identity, int) and not isinstance(identity, bool)
    if identity is not None and not is_text and not is_whole:
        raise _RefusedError(2, "Invalid request: request ID must be an unsigned integer")
    return identity


def _do(command: dict[str, Any], client: Subscriber) -> Any:
    method = command.get("method")
    if "method" not in command:
        raise _RefusedError(2, "Invalid request: missing field `method` at line 1 column 1")
    if method not in METHODS:
        raise _RefusedError(2, f"Invalid request: unknown variant `{method}`, expected one of {_VARIANTS}")
    params = command.get("params", [])
    if not isinstance(params, list):
        raise _RefusedError(2, "Invalid request: params must be an array")
    if method == "LIST_SUBSCRIPTIONS":
        return list(client.subscriptions)
    if method in ("SET_PROPERTY", "GET_PROPERTY"):
        return _property(method, params, client)
    if not all(isinstance(name, str) for name in params):
        raise _RefusedError(2, "Invalid request: stream names must be strings")
    if method == "UNSUBSCRIBE":
        for name in params:
            client.subscriptions.pop(name, None)
    else:
        wanted = {**client.subscriptions, **dict.fromkeys(params)}
        if len(wanted) > client.streams_max:
            raise _RefusedError(2, "Invalid request: too many streams on one connection")
        client.subscriptions.update(dict.fromkeys(params))
    return None


def _property(method: str, params: list[Any], client: Subscriber) -> Any:
    needed = 2 if method == "SET_PROPERTY" else 1
    if not params or not isinstance(params[0], str):
        raise _RefusedError(2, "Invalid request: property name must be a string")
    if len(params) > needed:
        raise _RefusedError(2, "Invalid request: too many parameters")
    if params[0] != "combined":
        raise _RefusedError(0, "Unknown property")
    if method == "GET_PROPERTY":
        return client.is_combined
    if len(params) < needed or not isinstance(params[1], bool):
        raise _RefusedError(1, "Invalid value type: expected Boolean")
    client.is_combined = params[1]
    return None
