"""The compared models in plain PyTorch, as its users write them; `compare.py` runs this.

    python torch_workloads.py NAME [--compile] [--channels-last] [--epochs N]
"""

from __future__ import annotations

import argparse
import json
import resource
import time

parser = argparse.ArgumentParser()
parser.add_argument("name")
parser.add_argument("--compile", action="store_true")
parser.add_argument("--channels-last", action="store_true")
parser.add_argument("--epochs", type=int, default=4)
options = parser.parse_args()

start = time.perf_counter()
import torch  # noqa: E402  (the import is timed)
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import_seconds = time.perf_counter() - start
torch.manual_seed(1)


class Block(nn.Module):
    """The basic residual block."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def labels(classes, *shape):
    return torch.randint(0, classes, shape)


def tiny_mlp():
    model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    return model, torch.randn(3200, 13), labels(2, 3200, 1).float(), 32, functional.binary_cross_entropy_with_logits, torch.optim.Adam


def mnist_mlp():
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, 10))
    return model, torch.randn(12800, 784), labels(10, 12800), 128, functional.cross_entropy, torch.optim.RMSprop


def seed_cnn():
    model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(64, 64, 3), nn.ReLU(),
                          nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10))
    return model, torch.randn(6400, 1, 28, 28), labels(10, 6400), 64, functional.cross_entropy, torch.optim.Adam


def resnet20():
    parts = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    inputs = 16
    for outputs, stride in ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)):
        parts.append(Block(inputs, outputs, stride))
        inputs = outputs
    model = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return model, torch.randn(2048, 3, 32, 32), labels(10, 2048), 128, functional.cross_entropy, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)


def wide_conv():
    parts, inputs = [], 3
    for filters in (64, 128, 256):
        for _ in range(2):
            parts += [nn.Conv2d(inputs, filters, 3, 1, 1), nn.ReLU()]
            inputs = filters
        parts.append(nn.MaxPool2d(2))
    model = nn.Sequential(*parts, nn.Flatten(), nn.Linear(4096, 256), nn.ReLU(), nn.Linear(256, 10))
    return model, torch.randn(512, 3, 32, 32), labels(10, 512), 32, functional.cross_entropy, torch.optim.Adam


def mobilenet():
    parts, inputs = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()], 32
    for filters, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        parts += [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), nn.ReLU()]
        parts += [nn.Conv2d(inputs, filters, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
        inputs = filters
    model = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))
    return model, torch.randn(1024, 3, 64, 64), labels(10, 1024), 64, functional.cross_entropy, torch.optim.Adam


class Mean(nn.Module):
    """The mean over tokens."""

    def forward(self, x):
        return x.mean(1)


def encoder():
    def block():
        return nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)

    model = nn.Sequential(block(), block(), Mean(), nn.Linear(256, 10))
    return model, torch.randn(256, 128, 256), labels(10, 256), 16, functional.cross_entropy, torch.optim.Adam


class Recurrent(nn.Module):
    """Recurrent layers after an optional table of vectors, and a linear layer on the last step or on all of them."""

    def __init__(self, cell, table, features, units, outputs, all_steps=False, **options):
        super().__init__()
        self.table = nn.Embedding(*table) if table else nn.Identity()
        self.cell = cell(features, units, batch_first=True, **options)
        self.head = nn.Linear(units * (2 if options.get("bidirectional") else 1), outputs)
        self.all_steps = all_steps

    def forward(self, x):
        y, states = self.cell(self.table(x))
        if self.all_steps:
            return self.head(y).transpose(1, 2)
        state = states[0] if isinstance(states, tuple) else states
        return self.head(torch.cat(tuple(state[-2:]), -1) if self.cell.bidirectional else state[-1])


def imdb_lstm():
    model = Recurrent(nn.LSTM, (20000, 128), 128, 64, 1, num_layers=2, bidirectional=True)
    return model, labels(20000, 640, 200), labels(2, 640, 1).float(), 32, functional.binary_cross_entropy_with_logits, torch.optim.Adam


def series_gru():
    return Recurrent(nn.GRU, None, 14, 64, 1, num_layers=2), torch.randn(2560, 120, 14), torch.randn(2560, 1), 128, functional.mse_loss, torch.optim.Adam


def character_lstm():
    model = Recurrent(nn.LSTM, (66, 64), 64, 128, 66, all_steps=True)
    return model, labels(66, 1280, 100), labels(66, 1280, 100), 64, functional.cross_entropy, torch.optim.Adam


WORKLOADS = {f.__name__: f for f in (tiny_mlp, mnist_mlp, seed_cnn, resnet20, wide_conv, mobilenet, encoder, imdb_lstm, series_gru, character_lstm)}


def train_epoch(run, optimizer, loss_function, x, y, batch):
    """One pass in random order, loss and accuracy read every step, as a training loop reports them."""
    order = torch.randperm(len(x))
    for first in range(0, len(x), batch):
        rows = order[first : first + batch]
        inputs, targets = x[rows], y[rows]
        optimizer.zero_grad(set_to_none=True)
        outputs = run(inputs)
        loss = loss_function(outputs, targets)
        loss.backward()
        optimizer.step()
        loss.item()
        if loss_function is functional.cross_entropy:
            (outputs.argmax(1) == targets).float().mean().item()
        else:
            ((outputs > 0).float() == targets).float().mean().item()
    return loss.item()


def seconds_of(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def main():
    model, x, y, batch, loss_function, make_optimizer = WORKLOADS[options.name]()
    if options.channels_last and x.dim() == 4:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = make_optimizer(model.parameters())
    run = torch.compile(model) if options.compile else model
    run.train()
    epochs = [seconds_of(lambda: train_epoch(run, optimizer, loss_function, x, y, batch)) for _ in range(options.epochs)]
    run.eval()
    with torch.inference_mode():
        predict = [seconds_of(lambda: [run(x[k : k + batch]) for k in range(0, len(x), batch)]) for _ in range(4)]
        one = [seconds_of(lambda: run(x[:1]).numpy()) for _ in range(30)]
    print(json.dumps({"name": options.name, "lib": "torch", "epoch_min": min(epochs[1:]), "first_epoch": epochs[0], "predict": min(predict[1:]), "call1": min(one),
                      "predict1": min(one), "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "import": import_seconds}))


main()
