"""A digest sees every name, value, shape and file, and no order."""

from __future__ import annotations

import torch

from parity.arm.digests import digest_of, folder_digest


def test_a_digest_sees_names_values_and_shapes():
    base = digest_of([("a", torch.ones(4))])
    assert base == digest_of([("a", torch.ones(4))])
    others = [("b", torch.ones(4)), ("a", torch.ones(2, 2)), ("a", -torch.ones(4)), ("a", torch.ones(4).double())]
    assert base not in {digest_of([other]) for other in others}
    pair = [("a", torch.zeros(1)), ("b", torch.ones(1))]
    assert digest_of(pair) == digest_of(pair[::-1])


def test_a_folders_digest_sees_every_python_file_and_its_name(tmp_path):
    (tmp_path / "one.py").write_text("a = 1\n")
    (tmp_path / "two.py").write_text("b = 1\n")
    seen = [folder_digest(tmp_path)]
    (tmp_path / "two.py").write_text("b = 2\n")
    seen.append(folder_digest(tmp_path))
    (tmp_path / "two.py").rename(tmp_path / "three.py")
    seen.append(folder_digest(tmp_path))
    assert len(set(seen)) == 3
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "two.pyc").write_bytes(b"left by an interpreter")
    assert folder_digest(tmp_path) == seen[-1]
