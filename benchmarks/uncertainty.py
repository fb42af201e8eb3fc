"""Cases of prediction: shared masks, the latency of one sample, the start of a process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import fastdrop as fd
from fastdrop.bench import cases
from fastdrop.bench.cases import HIDDEN, SAMPLES, STEADY, Case, images, uncertain_mlp
from fastdrop.uncertainty import monte_carlo

torch = cases.torch()


def _require(good, what):
    if not good:
        raise RuntimeError(f"{what} gives wrong results")


def shared(batch: int) -> Case:
    """Monte Carlo passes with masks that all samples of a pass share.

    Computed with the kept units only, and with all units.
    """
    (model, _), x = uncertain_mlp(), images(batch)

    def thinned():
        return fd.mc_predict(model, x, SAMPLES, seed=1, masks="shared")

    def whole():
        monte_carlo.THINNED = False
        try:
            return thinned()
        finally:
            monte_carlo.THINNED = True

    candidates = {
        "fastdrop, thinned": thinned,
        "fastdrop, all units": whole,
        "fastdrop, a mask for each sample": lambda: fd.mc_predict(model, x, SAMPLES, seed=1),
    }
    return Case(
        f"{SAMPLES} Monte Carlo passes with shared masks, batch {batch}, p = 0.5",
        candidates,
        lambda: _require(np.abs(thinned().mean - whole().mean).max() < 1e-5, "the thinned network"),
    )


def latency() -> Case:
    """One sample through the network without dropout."""
    (model, theirs), x = uncertain_mlp(), images(1)
    weights = [p.data.copy() for p in model.parameters()]

    def numpy():
        h = np.maximum(x @ weights[0].T + weights[1], 0)
        h = np.maximum(h @ weights[2].T + weights[3], 0)
        return h @ weights[4].T + weights[5]

    candidates = {"fastdrop": lambda: fd.predict(model, x), "NumPy": numpy}
    if torch is not None:
        theirs.eval()
        tx = torch.from_numpy(x)
        candidates["PyTorch"] = torch.inference_mode()(lambda: theirs(tx).numpy())
    if (session := _onnx(weights)) is not None:
        candidates["ONNX Runtime"] = lambda: session.run(None, {"x": x})[0]

    def check():
        for name, candidate in candidates.items():
            _require(np.abs(candidate() - numpy()).max() < 1e-4, name)

    return Case(f"one sample through 784-{HIDDEN}-{HIDDEN}-10", candidates, check, least=STEADY)


def onnx_monte_carlo(model, x) -> dict:
    """The passes of `fastdrop.bench.cases.monte_carlo` by ONNX Runtime, which keeps the dropout.

    {} if it is not installed.
    """
    weights = [p.data.copy() for p in model.parameters()]
    if (session := _onnx(weights, 0.5)) is None:
        return {}

    def softmax(z):
        e = np.exp(z - z.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def loop():
        passes = softmax(np.stack([session.run(None, {"x": x})[0] for _ in range(SAMPLES)]))
        return passes.mean(0), passes.var(0)

    def repeated():
        z = session.run(None, {"x": np.repeat(x, SAMPLES, 0)})[0]
        passes = softmax(z.reshape(len(x), SAMPLES, 10))
        return passes.mean(1), passes.var(1)

    ours = fd.mc_predict(model, x, SAMPLES, seed=1)
    for candidate in (loop, repeated):  # other masks: the same up to the error of 50 passes
        mean, variance = candidate()
        error = np.sqrt((variance + ours.variance) / SAMPLES)
        _require((np.abs(mean - ours.mean) < 6 * error + 1e-6).all(), "ONNX Runtime")
        _require(0.5 < variance.sum() / ours.variance.sum() < 2, "dropout in ONNX Runtime")
    return {"ONNX Runtime, a loop": loop, "ONNX Runtime, one repeated batch": repeated}


def _onnx(weights, p: float = 0.0):
    """A session of ONNX Runtime with the same weights and number of threads.

    With p > 0 the hidden layers have dropout in training mode, which its optimiser would remove.
    None if it is not installed.
    """
    try:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return None
    nodes, last = [], "x"
    for i in range(3):
        nodes.append(
            helper.make_node("Gemm", [last, f"p{2 * i}", f"p{2 * i + 1}"], [f"z{i}"], transB=1)
        )
        last = f"z{i}"
        if i < 2:
            nodes.append(helper.make_node("Relu", [last], [f"h{i}"]))
            last = f"h{i}"
            if p:
                nodes.append(helper.make_node("Dropout", [last, "p", "training"], [f"d{i}"]))
                last = f"d{i}"
    constants = {"p": np.float32(p), "training": np.bool_(True)} if p else {}
    constants |= {f"p{i}": array for i, array in enumerate(weights)}
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 784])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [None, 10])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = fd.get_num_threads(), 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["EliminateDropout"] if p else [],
    )


_FASTDROP = """
import sys, numpy as np
import fastdrop as fd
model = fd.load(sys.argv[1])
print(fd.predict(model, np.load(sys.argv[2])).argmax())
"""
_NUMPY = """
import sys, numpy as np
w = np.load(sys.argv[1])
h = np.load(sys.argv[2])
for i in (0, 3, 6):
    h = h @ w[f"{i}.weight"].T + w[f"{i}.bias"]
    if i < 6:
        h = np.maximum(h, 0)
print(h.argmax())
"""


def start() -> Case:
    """From the start of a process until it has printed its first prediction.

    Compared with a NumPy script that reads the weights from an .npz archive.
    """
    folder = tempfile.TemporaryDirectory()
    place = Path(folder.name)
    (model, _), x = uncertain_mlp(), images(1)
    fd.save(model, place / "model.safetensors")
    np.savez(place / "model.npz", **model.state_dict())
    np.save(place / "x.npy", x)
    # Both have compiled bytecode, like installed packages.
    environment = {
        **os.environ,
        "PYTHONPYCACHEPREFIX": str(place / "bytecode"),
        "FASTDROP_NUM_THREADS": str(fd.get_num_threads()),
        "OPENBLAS_NUM_THREADS": str(fd.get_num_threads()),
        "PYTHONPATH": str(Path(fd.__file__).parents[1]),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def script(text, weights):
        (place / f"{weights}.py").write_text(text)
        command = [sys.executable, "-P", place / f"{weights}.py", place / weights, place / "x.npy"]
        return lambda: (
            subprocess.run(
                command, env=environment, capture_output=True, check=True, text=True
            ).stdout
        )

    candidates = {
        "fastdrop": script(_FASTDROP, "model.safetensors"),
        "NumPy": script(_NUMPY, "model.npz"),
    }
    expected = f"{fd.predict(model, x).argmax()}\n"

    def check():
        for name, candidate in candidates.items():
            _require(folder and candidate() == expected, name)

    return Case("process start, load, first prediction", candidates, check)
