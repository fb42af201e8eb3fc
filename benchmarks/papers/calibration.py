"""Calibration on Fashion-MNIST: without and with dropout, Monte Carlo mean, temperature scaling.

The measures of Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.
The temperature is fitted on half of the test images, the figures are of the other half.
"""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import fashion_mnist_arrays
from fastdrop import nn, optim
from fastdrop.bench import cases

VARIANTS = {"no dropout": (0, 0, 0), "dropout 0.2, 0.5, 0.5": (0.2, 0.5, 0.5)}


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--samples", type=int, default=50, help="Monte Carlo passes (default 50)")
    parser.add_argument(
        "--plot", help="file for a picture of the passes' mean, first seed (PNG, PDF or SVG)"
    )


def calibrations(model, x, y, samples, seed) -> tuple[dict, float]:
    """Calibrations on the second half of x, and the temperature fitted on the first half.

    The dict has one calibration for each way to compute the probabilities.
    """
    half = len(x) // 2
    logits, (x, y_fit, y) = fd.predict(model, x), (x[half:], y[:half], y[half:])
    temperature = fd.temperature_scaling(logits[:half], y_fit)
    probabilities = {
        "weight-scaled": fd.softmax(logits[half:]).numpy(),
        "the same, temperature": temperature.transform(logits[half:]),
    }
    found = {name: fd.calibration(p.astype(np.float64), y) for name, p in probabilities.items()}
    if any(isinstance(module, nn.Dropout) for module in model.modules()):
        mc = fd.mc_predict(model, x, samples, seed, progress=False)
        found["mean of the passes"] = fd.calibration(mc, y, uncertainty=mc.entropy)
    return found, temperature.T


def run(options) -> None:
    """Measure and print."""
    x, y, x_test, y_test = fashion_mnist_arrays()
    print(
        f"784-{options.hidden}-{options.hidden}-10 on Fashion-MNIST, {options.epochs} epochs of "
        f"batches of 128, Adam 1e-3; {options.samples} passes; "
        f"figures of {len(x_test) - len(x_test) // 2} test images, mean of seeds {options.seeds}; "
        f"{fd.isa()}, {fd.get_num_threads()} threads"
    )
    for name, rates in VARIANTS.items():
        rows: dict[str, list] = {}
        temperatures, drawn = [], None
        for seed in map(int, options.seeds.split(",")):
            fd.manual_seed(seed)
            model = cases.mlp(nn, options.hidden, rates)
            fd.fit(
                model,
                (x, y),
                optimizer=optim.Adam(model.parameters(), lr=1e-3),
                epochs=options.epochs,
                batch_size=128,
                progress=False,
            )
            found, temperature = calibrations(model, x_test, y_test, options.samples, seed)
            temperatures.append(temperature)
            drawn = drawn or found.get("mean of the passes")
            for kind, c in found.items():
                rows.setdefault(kind, []).append(
                    (100 * c.accuracy, 100 * c.ece, c.nll, c.brier, 100 * c.area)
                )
        print(f"{name} (temperature {np.mean(temperatures):.2f})")
        for kind, figures in rows.items():
            accuracy, ece, nll, brier, area = np.mean(figures, 0)
            print(
                f"  {kind}: accuracy {accuracy:.2f} %, ECE {ece:.2f} %, "
                f"log likelihood {-nll:.3f}, Brier {brier:.3f}, "
                f"mean accuracy over coverage {area:.2f} %",
                flush=True,
            )
    if options.plot and drawn:
        drawn.plot(options.plot)
