"""Two processes train one PyTorch model without a lock: its parameters are shared arrays ("Hogwild")."""

import torch

import mpshm as mp


def model_on(parameters: list) -> torch.nn.Module:
    """A model whose parameters are the shared memory itself; `torch.from_numpy` copies nothing."""
    model = torch.nn.Linear(2, 1)
    with torch.no_grad():
        for own, shared in zip(model.parameters(), parameters, strict=True):
            own.set_(torch.from_numpy(shared))
    return model


def train(parameters: list, seed: int) -> None:
    """Learn y = 3 a - 2 b + 1 from random points; each step writes into what both processes read."""
    torch.set_num_threads(1)
    points = torch.Generator().manual_seed(seed)
    model = model_on(parameters)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(500):
        x = torch.randn(16, 2, generator=points)
        loss = ((model(x)[:, 0] - (3 * x[:, 0] - 2 * x[:, 1] + 1)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    with mp.Manager() as manager:
        fresh = torch.nn.Linear(2, 1)
        parameters = [mp.asarray(p.detach(), manager=manager) for p in fresh.parameters()]
        # Torch's threads do not survive a fork.
        ctx = mp.get_context("spawn")
        workers = [ctx.Process(target=train, args=(parameters, seed)) for seed in (1, 2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        weight, bias = parameters
        print(*(round(float(number), 2) for number in (*weight[0], bias[0])))

# prints:
# 3.0 -2.0 1.0
