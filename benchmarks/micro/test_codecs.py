"""Value codecs, key encodings and the packed batch."""

import numpy as np
import pytest

from door43fast.codecs import resolve
from door43fast.native.keys import KeyCodec
from door43fast.native.packed import Packed

from benchmarks.workloads import keys, values

AUTO = resolve("auto")
RECORD = {"id": 123, "text": "In the beginning", "tags": ["a", "b", 1.5], "at": {"book": "GEN", "verse": [1, 1]}}
VALUES = {"bytes": b"x" * 128, "str": "x" * 128, "record": RECORD, "tuple": (1, ("a", 2.0)), "array": np.arange(64.0)}
KEYS = {"str": "en_ult@v83/TIT/001/001", "bytes": b"en_ult", "int": 1 << 40, "any": ("en_ult", 83, "TIT", 1, 1)}


@pytest.mark.parametrize("kind", VALUES)
def test_encode(benchmark, kind):
    benchmark(AUTO.encode, VALUES[kind])


@pytest.mark.parametrize("kind", VALUES)
def test_decode(benchmark, kind):
    benchmark(AUTO.decode, *AUTO.encode(VALUES[kind]))


@pytest.mark.parametrize("mode", KEYS)
def test_encode_key(benchmark, mode):
    benchmark(KeyCodec(mode).encode, KEYS[mode])


@pytest.mark.parametrize("mode", KEYS)
def test_decode_key(benchmark, mode):
    benchmark(KeyCodec(mode).decode, KeyCodec(mode).encode(KEYS[mode]))


def test_packed_to_list(benchmark):
    count = len(keys(10_000))
    packed = Packed(b"".join(values(count, 32)), np.arange(count + 1) * 32)
    benchmark(packed.tolist)
