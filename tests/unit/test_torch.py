"""PyTorch's tensors on shared arrays. Where PyTorch is not installed there is nothing to test."""

import gc
import pickle

import numpy as np
import pytest

import mpshm

torch = pytest.importorskip("torch")


def test_tensors_on_the_memory(manager):
    """`from_numpy`, `from_dlpack` and `as_tensor` give tensors on the shared memory, and these keep it."""
    array = manager.ndarray((2, 3), "f4", fill=1)
    there = pickle.loads(pickle.dumps(array))
    tensors = [torch.from_numpy(array[1:]), torch.from_dlpack(array), torch.as_tensor(array)]
    for tensor in tensors:
        tensor += 1
    assert there.tolist() == [[3, 3, 3], [4, 4, 4]]
    half = torch.from_numpy(manager.ndarray(4, "u2")).view(torch.bfloat16)
    half += 1.5
    assert half.tolist() == [1.5] * 4
    del array, there, half
    gc.collect()
    assert tensors[0].tolist() == [[4, 4, 4]] and manager.segment.stats().objects == 1
    del tensors, tensor
    gc.collect()
    assert manager.segment.stats().objects == 0


def test_tensors_moved_in(manager):
    """`asarray` copies a tensor into shared memory, and a tensor on such memory is found again by its array."""
    tensor = torch.arange(6.0).reshape(2, 3).T
    moved = mpshm.asarray(tensor, manager=manager)
    assert moved.segment is manager.segment and moved.flags.f_contiguous and moved.tolist() == tensor.tolist()
    moved += 1
    assert tensor[0, 0] == 0
    with pytest.raises(RuntimeError, match="requires grad"):
        mpshm.asarray(torch.nn.Linear(2, 1).weight)
    with pytest.raises(TypeError):
        mpshm.asarray(tensor.bfloat16())


def test_training_in_place(manager):
    """Parameters on shared memory learn in place."""
    array = manager.ndarray(3)
    parameter = torch.nn.Parameter(torch.from_numpy(array))
    optimizer = torch.optim.SGD([parameter], lr=0.25)
    for _ in range(60):
        optimizer.zero_grad()
        ((parameter - torch.tensor([1.0, 2.0, 3.0])) ** 2).sum().backward()
        optimizer.step()
    assert np.allclose(array, [1, 2, 3])
