"""More numbers than fit into memory, in ascending order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.study.populations import Column, ascending

PARTS = st.lists(st.lists(st.floats(allow_nan=False).map(abs), max_size=30), max_size=8)


@given(PARTS, st.integers(1, 40))
def test_the_same_numbers_as_sorted_at_once(tmp_path_factory, parts, block):
    arrays = [np.array(part, dtype=float) for part in parts]
    before = [array.copy() for array in arrays]
    directory = tmp_path_factory.getbasetemp()
    pieces = list(ascending(arrays, directory, block))
    expected = np.sort(np.concatenate([*arrays, np.empty(0)]))
    assert np.concatenate([*pieces, np.empty(0)]).tobytes() == expected.tobytes()
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))


def test_no_piece_is_larger_than_a_block(tmp_path):
    numbers = np.random.default_rng(1).choice([0.0, 0.5, 1.0, 2.0, 3.0], 10_000)
    pieces = list(ascending(np.split(numbers, 100), tmp_path, 500))
    assert len(pieces) >= 20
    assert max(piece.size for piece in pieces) <= 500
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_has_gone_is_named(tmp_path):
    with pytest.raises(LlamaError, match=r"gone\.hdf5 is broken; delete it and run snakemake"):
        list(Column([tmp_path / "gone.hdf5"], "injections/odds", 3))
