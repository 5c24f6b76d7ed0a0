"""NumPy arrays as bytes: the payload of the mark NUMPY.

====== ================================================================
bytes  meaning
====== ================================================================
1      order of the elements: 0 as in C, 1 as in Fortran
1      number of dimensions
4      length of the dtype, little-endian
8 each the shape, little-endian
...    the dtype in MessagePack: its text, or a list of fields, each a
       list of name (or title and name), dtype and shape
...    the elements
====== ================================================================
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

from door43fast.native.messagepack import decode_from_msgpack, encode_as_msgpack

if TYPE_CHECKING:
    import numpy as np

HEAD = struct.Struct("<BBI")
DIMENSIONS = 64                 # NumPy's own limit
FIELD_DEPTH = 32                # structs within structs
PLAIN = re.compile(r"[<>|=]?[A-Za-z]\d{0,9}(\[\d{0,9}\w{1,7}\])?")


def _listed(descr: Any) -> Any:
    """A dtype's description with lists in place of tuples."""
    return [_listed(part) for part in descr] if isinstance(descr, (list, tuple)) else descr


def _described(descr: Any, depth: int = 0) -> Any:
    """A dtype's description, as read from bytes, with the tuples that NumPy wants; ValueError if it is none."""
    if isinstance(descr, str) and PLAIN.fullmatch(descr):
        return descr
    if not isinstance(descr, list) or depth > FIELD_DEPTH:
        raise ValueError("the dtype of a stored array is neither a plain type nor a list of fields")
    fields = []
    for field in descr:
        if not isinstance(field, list) or len(field) not in (2, 3):
            raise ValueError("a field of a stored array has no name and dtype")
        name = tuple(field[0]) if isinstance(field[0], list) else field[0]
        fields.append((name, _described(field[1], depth + 1), *(tuple(shape) for shape in field[2:])))
    return fields


def pack(array: np.ndarray[Any, Any]) -> bytes:
    """The bytes of ``array``; TypeError if its elements are not plain memory."""
    import numpy as np

    if array.dtype.hasobject:
        raise TypeError(f"is an array of dtype {array.dtype}, whose elements are Python objects: "
                        'convert it (array.tolist()), or use codec="pickle"')
    try:
        descr = encode_as_msgpack(_listed(np.lib.format.dtype_to_descr(array.dtype)))
        read = np.lib.format.descr_to_dtype(_described(decode_from_msgpack(descr)))
    except (TypeError, ValueError):
        read = None
    if read != array.dtype or not array.dtype.itemsize:
        raise TypeError(f"is an array of dtype {array.dtype}, which cannot be written down and read back: "
                        'convert it (array.astype), or use codec="pickle"')
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return b"".join([HEAD.pack(fortran, array.ndim, len(descr)), struct.pack(f"<{array.ndim}Q", *array.shape), descr,
                     array.tobytes("F" if fortran else "C")])


def unpack(payload: Any) -> np.ndarray[Any, Any]:
    """The array of ``pack``, writable and with memory of its own; ValueError or TypeError if the bytes are none."""
    import numpy as np

    view = memoryview(payload)
    if len(view) < HEAD.size:
        raise ValueError("a stored array has no head")
    order, dimensions, length = HEAD.unpack_from(view)
    start = HEAD.size + 8 * dimensions + length
    if order > 1 or dimensions > DIMENSIONS or start > len(view):
        raise ValueError("the head of a stored array is not one")
    shape = struct.unpack_from(f"<{dimensions}Q", view, HEAD.size)
    dtype = np.lib.format.descr_to_dtype(_described(decode_from_msgpack(view[start - length:start])))
    if dtype.hasobject:
        raise ValueError("a stored array claims to hold Python objects")
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if not dtype.itemsize or size != len(view) - start:
        raise ValueError("a stored array's shape does not match its bytes")
    array = np.empty(shape, dtype, "F" if order else "C")
    if size:    # as bytes, so that what lies between the fields of a struct comes along
        array.reshape(-1, order="A").view(np.uint8)[:] = np.frombuffer(view, np.uint8, offset=start)
    return array
