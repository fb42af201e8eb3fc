"""Training: `fit`, and using what it made (`evaluate`, `predict`)."""

from __future__ import annotations

from fastdrop.predictor.predict import predict
from fastdrop.train.callbacks import EarlyStopping, Epoch
from fastdrop.train.evaluate import evaluate
from fastdrop.train.history import History
from fastdrop.train.loop import Run

__all__ = ["EarlyStopping", "Epoch", "History", "evaluate", "fit", "predict"]


def fit(
    model,
    data,
    *,
    loss=None,
    optimizer=None,
    epochs: int = 10,
    batch_size: int = 128,
    validation=None,
    scheduler=None,
    scheduler_every: str = "epoch",
    early_stopping=None,
    clip_norm: float | None = None,
    max_norm: float | None = None,
    mixup: float = 0.0,
    metrics=None,
    shuffle: bool = True,
    drop_last: bool = False,
    checkpoint=None,
    checkpoint_every: str | int = "epoch",
    resume: bool = False,
    progress: bool = True,
    callbacks=(),
    sample_weight=None,
) -> History:
    """Train a model.

    All randomness follows from `fastdrop.manual_seed`. The model is in evaluation mode afterwards: what comes next is its
    use, where a forgotten ``model.eval()`` would leave dropout on.

    Parameters
    ----------
    model : Module
    data : (x, y) or fastdrop.data.Dataset
    loss : str or function (output, target) -> Tensor, optional
        "cross_entropy" (default where y holds class numbers), "mse" (default otherwise), "nll", "l1", "huber",
        "bce_with_logits", or anything callable such as ``nn.CrossEntropyLoss(label_smoothing=0.1)``.
    optimizer : Optimizer, optional
        Default ``optim.Adam(model.parameters())``.
    epochs, batch_size : int
    validation : (x, y), Dataset, or float, optional
        Evaluated after each epoch. A number: this fraction of the data is set aside.
    scheduler : learning rate scheduler, optional
        Stepped after each epoch, or each step with ``scheduler_every="step"``. ReduceLROnPlateau sees the validation
        loss (without validation, the training loss).
    early_stopping : int or EarlyStopping, optional
        An int is the patience. Needs validation. At the end the best epoch's weights are put back.
    clip_norm : float, optional
        Limit on the L2 norm of all gradients together.
    max_norm : float, optional
        Limit on the norm of each unit's incoming weights after each step (Srivastava et al., 2014).
    mixup : float
        alpha of the Beta(alpha, alpha) that mixes pairs of samples and their targets (Zhang et al., 2018); 0: none.
    metrics : dict of str to function (output, target) -> number, optional
        More figures of the validation data.
    shuffle, drop_last : bool
        A new order each epoch; whether to leave out a last batch that is not full.
    checkpoint : str or os.PathLike, optional
        Where the state of the run is written, atomically: after each epoch, or every ``checkpoint_every`` steps,
        and at the end.
    checkpoint_every : "epoch" or int
    resume : bool
        Continue from the checkpoint where it exists; the result is bitwise that of a run that was never interrupted. Where it
        does not exist the run begins. False: an existing checkpoint is an error, not overwritten.
    progress : bool
        Show progress on stderr: a bar where tqdm is installed and stderr is a terminal, otherwise lines.
    callbacks : sequence of functions (Epoch) -> None
        Called after each epoch.
    sample_weight : array (N,), optional
        How much each sample counts in the loss and the figures, at least 0. The loss is the mean of weight times loss, the
        weights scaled to a mean of 1 over the training data. A loss that is a function of your own must then return a row
        for each sample, as ``nn.CrossEntropyLoss(reduction="none")`` does. A part that ``validation`` sets aside keeps its weights;
        weights of other validation data come with ``Dataset(x, y).weighted(w)``. Not beside mixup.

    Returns
    -------
    History : for each epoch "loss", "accuracy" or "rmse" (of the training batches, with dropout), the same with "val_", the
        metrics with "val_", "lr", and "time", the seconds that the training steps took.

    Raises
    ------
    TypeError, ValueError
        An argument is wrong, or the checkpoint is one of something else. The model is unchanged.
    FloatingPointError
        The loss became NaN or infinite. The last checkpoint is the one before.
    FileExistsError
        The checkpoint exists and ``resume`` is False.

    References
    ----------
    Srivastava et al., JMLR 15, 2014; Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.
    """
    return Run(**locals()).run()
