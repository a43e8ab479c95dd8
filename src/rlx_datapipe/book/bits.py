"""The one machine instruction that the book needs by name: count trailing zeros."""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic, overload


def trailing_zeros(word: int) -> int:
    """Position of the lowest set bit of a 64-bit word, which must not be 0."""
    unbounded = int(word)
    return (unbounded & -unbounded).bit_length() - 1


def _emit_trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Signature and code generator of the ``cttz`` instruction, for Numba."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero_is_undefined = context.get_constant(types.boolean, True)
        return builder.cttz(arguments[0], zero_is_undefined)

    return types.int64(types.int64), generate


_cttz: Any = intrinsic(_emit_trailing_zeros)


def _compiled_trailing_zeros(word: int) -> Callable[[int], Any]:
    """Body that replaces `trailing_zeros` in compiled callers."""

    def implementation(word: int) -> Any:
        return _cttz(word)

    return implementation


overload(trailing_zeros)(_compiled_trailing_zeros)
