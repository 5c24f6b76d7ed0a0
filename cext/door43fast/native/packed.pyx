"""Many values in one piece of memory: the packed batch, and what engines build it with."""

from collections.abc import Sequence

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from door43fast.native.arrow cimport array_capsule, schema_capsule
from door43fast.native.spans cimport span_array, span_fit, span_free, span_grow

from door43fast.errors import ConfigError

cdef extern from "Python.h":
    const size_t PY_SSIZE_T_MAX

cdef enum:
    FORESIGHT = 16          # how many times its size a block may become at once
    MOST_EXPECTED = 64 << 20


cdef object _flat(numpy, data):
    """The bytes of ``data``, without a copy."""
    if not isinstance(data, numpy.ndarray):
        return numpy.frombuffer(data, numpy.uint8) if len(data) else numpy.empty(0, numpy.uint8)
    if not data.flags.c_contiguous:
        raise ValueError("the data of a packed batch must be C-contiguous: pass numpy.ascontiguousarray(data)")
    if data.dtype.hasobject:
        raise TypeError(f"the data of a packed batch must be bytes, not an array of dtype {data.dtype}")
    return data.reshape(-1).view(numpy.uint8)


cdef object _vector(numpy, values, str what, str kinds, dtype):
    """``values`` as a read-only one-dimensional array of ``dtype``."""
    array = numpy.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in kinds:
        if not (array.ndim == 1 and array.size == 0):
            raise TypeError(f"the {what} of a packed batch must be a one-dimensional array of {dtype}, "
                            f"not {array.dtype}{list(array.shape)}")
    array = numpy.ascontiguousarray(array, dtype).view()
    array.flags.writeable = False
    return array


cdef class Packed:
    """Values of a batch, one after another in one array: a sequence of ``bytes`` without an object per value.

    ``p[i]`` is the value of the i-th key as bytes, or None where the key had none. The class hands itself to Arrow
    as ``large_binary`` without a copy of data and offsets: ``pyarrow.array(p)``.

    Parameters
    ----------
    data : buffer or array
        All bytes; C-contiguous. It is not copied: do not change it while the batch is in use.
    offsets : int64[n + 1]
        Value i is ``data[offsets[i]:offsets[i + 1]]``.
    found : bool[n], optional
        Which keys had a value; all if it is not given.

    Raises
    ------
    ValueError
        If the offsets do not ascend within the data, or the lengths do not match.
    """

    def __cinit__(self, data, offsets, found=None):
        import numpy
        self.data = _flat(numpy, data)
        self.offsets = _vector(numpy, offsets, "offsets", "iu", "int64")
        if self.offsets.size == 0:
            raise ValueError("the offsets of a packed batch need one more entry than it has values: [0] for none")
        self.length = self.offsets.size - 1
        if found is None:
            found = numpy.ones(self.length, numpy.bool_)
        self.found = _vector(numpy, found, "found", "b", "bool")
        if self.found.size != self.length:
            raise ValueError(f"a packed batch has {self.length} values by its offsets, but {self.found.size} by found")
        for array in (self.data, self.offsets, self.found):
            PyObject_GetBuffer(array, &self.views[self.viewed], PyBUF_SIMPLE)
            self.viewed += 1
        self.content = <const char*>self.views[0].buf
        self.size = self.views[0].len
        self.bounds = <const int64_t*>self.views[1].buf
        self.has = <const char*>self.views[2].buf
        self.check()

    def __dealloc__(self):
        cdef int i
        for i in range(self.viewed):
            PyBuffer_Release(&self.views[i])

    cdef int check(self) except -1:
        """Every value lies within the data: else reading one would read the memory of others."""
        cdef Py_ssize_t i
        cdef int64_t last = self.bounds[0]
        cdef bint ascends = last >= 0
        for i in range(1, self.length + 1):
            ascends &= self.bounds[i] >= last
            last = self.bounds[i]
        if not ascends or last > self.size:
            raise ValueError(f"the offsets of a packed batch must ascend from 0 or more to {self.size}, "
                             "the number of bytes of its data")
        return 0

    def __len__(self):
        return self.length

    @property
    def nbytes(self):
        """Bytes of data, offsets and found together."""
        return self.data.nbytes + self.offsets.nbytes + self.found.nbytes

    cdef object _value(self, Py_ssize_t i):
        cdef const char* data = NULL
        cdef Py_ssize_t size = 0
        cdef int state = self.item(i, &data, &size)
        if state < 0:
            self.check()
            raise ValueError("the offsets of this packed batch were changed while it was read")
        return PyBytes_FromStringAndSize(data, size) if state else None

    def __getitem__(self, key):
        cdef Py_ssize_t i
        if isinstance(key, slice):
            return self._part(*key.indices(self.length))
        i = key.__index__() if hasattr(type(key), "__index__") else _not_an_index(key)
        if i < 0:
            i += self.length
        if not 0 <= i < self.length:
            raise IndexError(f"position {key} is beyond the {self.length} values of this packed batch")
        return self._value(i)

    def _part(self, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t step):
        cdef PackedBuilder built
        cdef const char* data = NULL
        cdef Py_ssize_t size = 0, i
        cdef int state
        if step == 1:
            stop = max(start, stop)
            return Packed(self.data, self.offsets[start:stop + 1], self.found[start:stop])
        built = PackedBuilder(len(range(start, stop, step)))
        for i in range(start, stop, step):
            state = self.item(i, &data, &size)
            if state < 0:
                self.check()
            if state > 0:
                built.append(data, size)
            else:
                built.missing()
        return built.finish()

    def __iter__(self):
        cdef Py_ssize_t i
        for i in range(self.length):
            yield self._value(i)

    def __reversed__(self):
        cdef Py_ssize_t i
        for i in range(self.length - 1, -1, -1):
            yield self._value(i)

    def __contains__(self, value):
        return any(value == own for own in self)

    def index(self, value, start=0, stop=None):
        """The first position of ``value``; ValueError if it is not there."""
        for i in range(*slice(start, stop).indices(self.length)):
            if self._value(i) == value:
                return i
        raise ValueError("this value is not in the packed batch")

    def count(self, value):
        """How often ``value`` is there."""
        return sum(own == value for own in self)

    def tolist(self):
        """All values as a list of bytes and None."""
        return [self._value(i) for i in range(self.length)]

    def __eq__(self, other):
        cdef Packed o
        cdef Py_ssize_t i
        cdef const char* mine = NULL
        cdef const char* its = NULL
        cdef Py_ssize_t size = 0, its_size = 0
        if not isinstance(other, Packed):
            return NotImplemented
        o = other
        if self.length != o.length:
            return False
        for i in range(self.length):
            size = its_size = 0
            if self.item(i, &mine, &size) != o.item(i, &its, &its_size) or size != its_size:
                return False
            if size and memcmp(mine, its, size):
                return False
        return True

    def __reduce__(self):
        first, beyond = int(self.offsets[0]), int(self.offsets[self.length])
        return Packed, (self.data[first:beyond].tobytes(), self.offsets - first, self.found)

    def __repr__(self):
        return f"<Packed: {self.length} values, {self.size} bytes>"

    def __arrow_c_schema__(self):
        return schema_capsule()

    def __arrow_c_array__(self, requested_schema=None):
        self.check()
        return schema_capsule(), array_capsule(self, self.length, self.content, self.bounds, self.has)


Sequence.register(Packed)


def _not_an_index(key):
    raise TypeError(f"a position in a packed batch is an int or a slice, not {type(key).__name__}")


cdef class PackedBuilder:
    """Packs values one by one, in memory of its own or in a caller's ``out``. Used by one thread at a time.

    Parameters
    ----------
    count : int
        How many values there will be; with ``out`` exactly so many, else it may be exceeded.
    out : writable C-contiguous uint8[count, size], optional
        Where to put values of one size.
    """

    def __cinit__(self, Py_ssize_t count=0, out=None):
        self.places = max(count, 16)
        self.offsets = <int64_t*>malloc((self.places + 1) * sizeof(int64_t))
        self.found = <char*>malloc(self.places)
        if self.offsets == NULL or self.found == NULL:
            raise MemoryError()
        self.offsets[0] = 0
        if out is not None:
            self._take(out, count)

    def __dealloc__(self):
        if self.fixed:
            PyBuffer_Release(&self.rows)
        else:
            span_free(self.data, self.capacity)
        free(self.offsets)
        free(self.found)

    def add(self, key, value):
        """The value of ``key`` comes next, as bytes; None if it has none. For engines written in Python."""
        cdef const unsigned char[::1] content
        cdef object view = None if value is None else memoryview(value)
        content = view.cast("B") if view is not None and view.nbytes else None
        if self.offsets == NULL:        # looked at last: a value's methods may have finished it
            raise ValueError("this packed batch is finished; use a new builder")
        if view is None:
            self.missing()
        elif content is None:
            if self.append(NULL, 0):
                raise self.wrong_size(key, 0)
        elif self.append(&content[0], content.shape[0]):
            raise self.wrong_size(key, content.shape[0])

    def build(self):
        """The packed batch; the builder is empty afterwards."""
        if self.offsets == NULL:
            raise ValueError("this packed batch is finished; use a new builder")
        return self.finish()

    def _take(self, out, Py_ssize_t count):
        import numpy
        if not isinstance(out, numpy.ndarray) or out.dtype != numpy.uint8 or out.ndim != 2:
            raise ConfigError("out= must be a NumPy array of dtype uint8 and shape (keys, size of a value), not "
                              + (f"{out.dtype}{list(out.shape)}" if isinstance(out, numpy.ndarray)
                                 else type(out).__name__))
        if len(out) != count:
            raise ConfigError(f"out= has {len(out)} rows for {count} keys")
        if not out.flags.c_contiguous or not out.flags.writeable:
            raise ConfigError("out= must be C-contiguous and writable")
        PyObject_GetBuffer(out, &self.rows, PyBUF_WRITABLE)
        self.fixed = True
        self.out = out
        self.width = out.shape[1]
        if self.rows.len != count * <object>self.width:     # an heir of the array's class may say what it likes
            raise ConfigError(f"out= holds {self.rows.len} bytes, not {count} rows of {self.width}")
        self.data = <char*>self.rows.buf
        self.capacity = self.rows.len
        self.places = count

    cdef int _grow_places(self) except -1 nogil:
        cdef size_t places = self.places * 2
        cdef void* grown
        if self.fixed:
            with gil:
                raise ConfigError(f"out= has {self.count} rows, which are fewer than the keys")
        grown = realloc(self.offsets, (places + 1) * sizeof(int64_t))
        if grown != NULL:
            self.offsets = <int64_t*>grown
            grown = realloc(self.found, places)
        if grown == NULL:
            with gil:
                raise MemoryError()
        self.found = <char*>grown
        self.places = places
        return 0

    cdef int _grow_data(self, size_t n) except -1 nogil:
        """Room for ``n`` bytes more, and for the values still to come if they are like those that are there."""
        cdef size_t need = self.size + n, capacity
        cdef char* grown = NULL
        if n < PY_SSIZE_T_MAX // 64 and self.size < PY_SSIZE_T_MAX // 64:
            capacity = need // (self.count + 1) * self.places
            capacity = min(max(capacity + capacity // 64, need + need // 2), FORESIGHT * need) + 64
            grown = <char*>span_grow(self.data, self.capacity, self.size, &capacity)
            if grown == NULL:           # less will do
                capacity = need + need // 8
                grown = <char*>span_grow(self.data, self.capacity, self.size, &capacity)
        if grown == NULL:
            with gil:
                raise MemoryError()
        self.data = grown
        self.capacity = capacity
        return 0

    cdef void expect(self, size_t n) noexcept nogil:
        cdef size_t capacity = min(n, MOST_EXPECTED)
        cdef char* grown
        if self.fixed or capacity <= self.capacity:
            return
        grown = <char*>span_grow(self.data, self.capacity, self.size, &capacity)
        if grown != NULL:
            self.data = grown
            self.capacity = capacity

    cdef char* room(self, size_t n) except? NULL nogil:
        if self.count == self.places:
            self._grow_places()
        if self.fixed:
            if n != <size_t>self.width:
                return NULL
        elif n > self.capacity - self.size or self.data == NULL:
            self._grow_data(n)
        self.size += n
        self.found[self.count] = 1
        self.count += 1
        self.offsets[self.count] = <int64_t>self.size
        return self.data + self.size - n

    cdef int append(self, const void* data, size_t n) except -1 nogil:
        cdef char* at = self.room(n)
        if at == NULL:
            return 1
        if n:
            memcpy(at, data, n)
        return 0

    cdef int missing(self) except -1 nogil:
        cdef size_t width = self.width if self.fixed else 0
        if self.count == self.places:
            self._grow_places()
        if width:
            memset(self.data + self.size, 0, width)
            self.size += width
        self.found[self.count] = 0
        self.count += 1
        self.offsets[self.count] = <int64_t>self.size
        return 0

    cdef object wrong_size(self, key, size_t n):
        return ValueError(f"the value of key {key!r} has {n} bytes, but a row of out= has {self.width}")

    cdef Packed finish(self):
        cdef void* fitted
        cdef size_t held = self.size
        if not self.fixed:
            self.data = <char*>span_fit(self.data, self.capacity, &held)
            self.capacity = held
            if self.data == NULL:
                raise MemoryError()
        fitted = realloc(self.offsets, (self.count + 1) * sizeof(int64_t))
        if fitted != NULL:
            self.offsets = <int64_t*>fitted
        offsets = span_array(<char**>&self.offsets, 0, self.count + 1, "int64")
        found = span_array(&self.found, 0, self.count, "bool")
        if self.fixed:
            return Packed(self.out, offsets, found)
        return Packed(span_array(&self.data, self.capacity, self.size, "uint8"), offsets, found)
