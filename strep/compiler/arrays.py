"""Hand NamedTuples of arrays to compiled rules as one address.

numba would hand over every array of a tuple with every call, and count a reference to each: with twenty arrays, that
costs more than what the rules do. So a tuple becomes a table of addresses and shapes in memory; what names an array of
it reads its place there. Whoever calls a rule keeps the arrays alive until it returns.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from llvmlite import ir
from numba import typeof, types
from numba.core.datamodel import models
from numba.core.extending import NativeValue, lower_getattr_generic, register_model, typeof_impl, unbox
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.np.arrayobj import make_array, populate_array

#: Of an array: its address, and its length in each of two dimensions.
_WORDS = 3


class Arrays:
    """The addresses of a NamedTuple's arrays, which must be C-contiguous."""

    __slots__ = ("address", "arrays", "names", "words")

    def __init__(self, arrays: tuple[Any, ...]) -> None:
        self.arrays = arrays
        self.names: tuple[str, ...] = arrays._fields  # type: ignore[attr-defined] # no type says that of NamedTuples
        self.words = np.array([_words_of(array) for array in arrays], np.int64)
        self.address: int = self.words.__array_interface__["data"][0]


def _words_of(array: Any) -> tuple[int, int, int]:
    interface = array.__array_interface__
    shape = interface["shape"]
    return interface["data"][0], shape[0], shape[1] if len(shape) > 1 else 1


class ArraysType(types.Type):
    """What numba knows of a kind of NamedTuple: the names and types of its arrays."""

    def __init__(self, names: tuple[str, ...], arrays: tuple[Any, ...]) -> None:
        self.names, self.arrays = names, arrays
        digest = hashlib.blake2b(repr((names, arrays)).encode(), digest_size=8).hexdigest()
        super().__init__(name=f"Arrays_{digest}")


@register_model(ArraysType)
class _ArraysModel(models.OpaqueModel):
    """An address."""


@typeof_impl.register(Arrays)
def _typeof_arrays(value: Arrays, context: Any) -> ArraysType:
    kinds = tuple(types.Array(typeof(array).dtype, array.ndim, "C") for array in value.arrays)
    return ArraysType(value.names, kinds)


@unbox(ArraysType)
def _unbox_arrays(kind: ArraysType, value: Any, context: Any) -> NativeValue:
    address = context.pyapi.object_getattr_string(value, "address")
    native = context.pyapi.long_as_voidptr(address)
    context.pyapi.decref(address)
    return NativeValue(native)


@infer_getattr
class _ArraysAttribute(AttributeTemplate):
    key = ArraysType

    def generic_resolve(self, kind: Any, name: str) -> Any:  # type: ignore[override] # what it declares is that it has none
        return kind.arrays[kind.names.index(name)] if name in kind.names else None


@lower_getattr_generic(ArraysType)
def _get_array(context: Any, builder: Any, kind: ArraysType, value: Any, name: str) -> Any:
    index = kind.names.index(name)
    array_type = kind.arrays[index]
    words = builder.bitcast(value, ir.IntType(64).as_pointer())

    def word(number: int) -> Any:
        at = builder.gep(words, [ir.Constant(ir.IntType(64), _WORDS * index + number)])
        loaded = builder.load(at)
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded

    array = make_array(array_type)(context, builder)
    item_bytes = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(array_type.dtype)))
    shape = [word(1 + dimension) for dimension in range(array_type.ndim)]
    strides = [builder.mul(shape[1], item_bytes), item_bytes] if array_type.ndim > 1 else [item_bytes]
    data = builder.inttoptr(word(0), array.data.type)
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=item_bytes, meminfo=None)
    return array._getvalue()
