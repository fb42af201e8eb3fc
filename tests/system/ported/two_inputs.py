"""A network of two inputs, with hooks and an average of its weights: R2 on test data."""

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class TwoInputs(nn.Module):
    def __init__(self, numbers, words, width=32):
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                "numbers": nn.Sequential(nn.Linear(numbers, width), nn.ELU(), nn.Dropout(0.05)),
                "words": nn.Embedding(words, width),
            }
        )
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.Softplus(), nn.Linear(width, 1))

    def forward(self, numbers, word):
        parts = [self.branches["numbers"](numbers), self.branches["words"](word)]
        return self.scale * self.head(torch.cat(parts, dim=1)).squeeze(1)


def make_data(n, generator_seed):
    torch.manual_seed(generator_seed)
    numbers, word = torch.randn(n, 5), torch.randint(0, 4, (n,))
    target = numbers[:, 0] * numbers[:, 1].clamp(-1, 1) + word.float() - 1.5
    return numbers, word, target + 0.1 * torch.randn(n)


def r2(model, numbers, word, target):
    model.eval()
    with torch.no_grad():
        residuals = target - model(numbers, word)
    return 1 - (residuals.pow(2).mean() / target.var()).item()


def main():
    train, test = make_data(1500, 0), make_data(500, 1)
    torch.manual_seed(2)
    model = TwoInputs(5, 4)
    seen, sizes = {}, []

    def note(module, inputs, output):
        seen["mean"] = output.detach().mean().item()

    handle = model.head.register_forward_hook(note)
    backward = model.head.register_full_backward_hook(
        lambda module, grad_input, grad_output: sizes.append(tuple(grad_output[0].shape))
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=24 * 30)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.98))
    loss_function = nn.HuberLoss()
    for _ in range(24):
        model.train()
        for rows in torch.randperm(1500).split(50):
            numbers, word, target = (part[rows] for part in train)
            optimizer.zero_grad(set_to_none=True)
            loss_function(model(numbers, word), target).backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            ema.update_parameters(model)
    assert "mean" in seen and len(sizes) == 24 * 30 and sizes[0] == (50, 1)
    handle.remove()
    backward.remove()
    seen.clear()
    last = r2(model, *test)
    assert not seen
    average = r2(ema, *test)  # a copy of the model, made before the hook was removed
    assert "mean" in seen and average > last - 0.05
    return average


score = main()
