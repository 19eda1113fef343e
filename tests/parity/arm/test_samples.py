"""A sample is of the tensor, no larger than asked, and a copy."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from parity.arm.samples import sample_of


@given(st.integers(1, 3000), st.integers(1, 400))
def test_a_sample_is_never_larger_than_asked_and_of_the_tensor(size, limit):
    tensor = torch.arange(size, dtype=torch.float32)
    sample = sample_of(tensor, limit)
    assert 0 < len(sample) <= max(limit, size if size <= limit else limit)
    assert set(sample.tolist()) <= set(tensor.tolist())
    if size <= limit:
        assert torch.equal(sample, tensor)


def test_a_sample_is_a_copy():
    tensor = torch.ones(4)
    sample = sample_of(tensor, 0)
    tensor.zero_()
    assert sample.tolist() == [1.0] * 4
