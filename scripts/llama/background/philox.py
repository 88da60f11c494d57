"""Random numbers from Philox 4x64-10 (Salmon et al. 2011, SC'11).

They are a function of key and counter without any state: the key is (seed, kind), the counter
(block, injection, stream, 0). What injection k draws depends on nothing else, whoever draws it,
and any number can be had alone.
"""

import numpy as np

from llama.stats.compiled import njit

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10
_MULTIPLIERS = np.array([0xD2E7470EE14C6C93, 0xCA5A826395121157], dtype=np.uint64)
_WEYL = np.array([0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B], dtype=np.uint64)


@njit()
def fill(seed, kind, stream, numbers, ends, drawn):  # type: ignore[no-untyped-def]
    """Fill the rows up to ends[i] with blocks 0, 1, ... of injection numbers[i]."""
    row = 0
    for i in range(numbers.size):
        block = 0
        while row < ends[i]:
            words = philox(
                np.uint64(seed), np.uint64(kind), np.uint64(block), numbers[i], np.uint64(stream)
            )
            for j in range(4):
                drawn[row, j] = np.float64(words[j] >> np.uint64(11)) * 2.0**-53
            block += 1
            row += 1


@njit()
def philox(key0, key1, counter0, counter1, counter2):  # type: ignore[no-untyped-def]
    """Return the four 64-bit words of a key and a counter (whose fourth word is 0)."""
    counter3 = np.uint64(0)
    for _ in range(_ROUNDS):
        high0, low0 = _product(_MULTIPLIERS[0], counter0)
        high1, low1 = _product(_MULTIPLIERS[1], counter2)
        counter0, counter1, counter2, counter3 = (
            high1 ^ counter1 ^ key0,
            low1,
            high0 ^ counter3 ^ key1,
            low0,
        )
        key0, key1 = key0 + _WEYL[0], key1 + _WEYL[1]
    return counter0, counter1, counter2, counter3


@njit(inline="always")
def _product(a, b):  # type: ignore[no-untyped-def]
    """Return the high and the low 64 bits of a product."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    low = a0 * b0
    middle = a1 * b0 + (low >> _HALF)  # cannot overflow
    middle2 = a0 * b1 + (middle & _LOW)
    return a1 * b1 + (middle >> _HALF) + (middle2 >> _HALF), a * b
