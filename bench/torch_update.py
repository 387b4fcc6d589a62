"""What bench/training.ts measures itself against: one update in PyTorch with one thread, timed on request.

A line of JSON on standard input, a line of JSON on standard output: {"cell", "hidden", "batch", "inputs", "outputs", "steps"} makes a network
ready and answers {}, {"updates"} does so many updates of the last one and answers {"ms"}. The first line out is the version.
"""

import json
import sys
import time

import torch

torch.set_num_threads(1)


class Network:
    def __init__(self, cell, hidden, batch, inputs, outputs, steps):
        torch.manual_seed(1)
        kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
        self.layer = kind(inputs, hidden)
        self.head = torch.nn.Linear(hidden, outputs)
        self.params = [*self.layer.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.Adam(self.params, lr=1e-3)
        self.xs = torch.randn(steps, batch, inputs)
        self.targets = torch.randn(steps, batch, outputs)
        zeros = torch.zeros(1, batch, hidden)
        self.state = (zeros, zeros) if cell == "lstm" else zeros

    def update(self):
        hs, state = self.layer(self.xs, self.state)
        loss = torch.nn.functional.mse_loss(self.head(hs), self.targets)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.optimizer.step()
        self.state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        return loss.item()


def answer(value):
    print(json.dumps(value), flush=True)


answer({"version": torch.__version__})
network = None
for line in sys.stdin:
    request = json.loads(line)
    if "updates" in request:
        start = time.perf_counter()
        for _ in range(request["updates"]):
            network.update()
        answer({"ms": 1e3 * (time.perf_counter() - start)})
    else:
        network = Network(**request)
        answer({})
