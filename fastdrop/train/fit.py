"""Training a model: `fit`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastdrop import optim
from fastdrop.nn.module import checked_module
from fastdrop.train.history import History
from fastdrop.train.loop import TrainingRun
from fastdrop.train.objective import Objective
from fastdrop.train.options import FitOptions, as_data, as_early_stopping, as_validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fastdrop import nn
    from fastdrop._utils.typing import ArrayLike, PathLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.data.dataset import Dataset
    from fastdrop.data.loader import DataLoader
    from fastdrop.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
    from fastdrop.train.callbacks import EarlyStopping, Epoch
    from fastdrop.train.objective import Metric

__all__ = ["fit"]


def fit(
    model: nn.Module,
    data: Dataset | DataLoader | tuple[ArrayLike, ArrayLike],
    *,
    loss: str | Callable[..., Tensor] | None = None,
    optimizer: optim.Optimizer | None = None,
    epochs: int = 10,
    batch_size: int | None = None,
    validation: Dataset | DataLoader | tuple[ArrayLike, ArrayLike] | float | None = None,
    scheduler: LRScheduler | ReduceLROnPlateau | None = None,
    scheduler_every: str = "epoch",
    early_stopping: int | EarlyStopping | None = None,
    clip_norm: float | None = None,
    max_norm: float | None = None,
    mixup: float = 0.0,
    metrics: Mapping[str, Metric] | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    checkpoint: PathLike | None = None,
    checkpoint_every: str | int = "epoch",
    resume: bool = False,
    progress: bool = True,
    callbacks: Callable[[Epoch], Any] | Iterable[Callable[[Epoch], Any]] = (),
    sample_weight: ArrayLike | None = None,
    thinned: str | None = None,
) -> History:
    """Train a model.

    Each step takes a batch of (x, y) and minimises loss(model(x), y). The seed given to
    `fastdrop.manual_seed` determines all randomness: masks, order of the samples, mixup, and the
    choice of validation data. The model is in evaluation mode afterwards, so that predictions do
    not use dropout.

    Parameters
    ----------
    model : Module
        The model. It is trained in place.
    data : Dataset, pair (x, y) of arrays, or DataLoader
        x has shape (N, ...) and is converted to float32; or it is a tuple of arrays for
        ``model(*x)``, or a dict for ``model(**x)``, whose integers and bools (token numbers, masks)
        stay what they are. y holds class numbers (int, shape (N,))
        or real targets (shape (N,) or (N, k)). A `fastdrop.data.DataLoader` gives batches (x, y),
        or (x, y, weights); batch_size, shuffle, drop_last and mixup are then the loader's affair.
    loss : str or function (output, target) -> Tensor, optional
        "cross_entropy" (default for class numbers), "mse" (default for real targets), "nll", "l1",
        "huber", "bce_with_logits"; or any function, such as
        ``nn.CrossEntropyLoss(label_smoothing=0.1)``. A function whose second argument has the name
        ``batch`` gets the whole batch: loss(outputs, batch), where outputs is what the model
        returns (a Tensor, or a tuple or dict of them) and batch is (x, y), or (x, y, weights) where
        there are weights, which are its own affair then. With a DataLoader, y may be a tuple or
        dict of arrays for it, too.
    optimizer : Optimizer, optional
        Default ``optim.Adam(model.parameters())``. With `fastdrop.optim.LBFGS`, all evaluations of
        a step have the same masks.
    epochs : int, default 10
        Number of passes over the data, at least 0.
    batch_size : int, optional
        Samples in one step, at least 1. Default 128, or a little less where 128 would leave a last
        batch of one sample for a model with batch norm.
    validation : Dataset, pair (x, y), DataLoader, or float, optional
        Data to evaluate after each epoch. A number in (0, 1) sets this fraction of `data` aside.
    scheduler : learning rate scheduler, optional
        It must have been made for `optimizer`. ReduceLROnPlateau gets the validation loss, or the
        training loss if there are no validation data.
    scheduler_every : {"epoch", "step"}, default "epoch"
        When the scheduler is stepped.
    early_stopping : int or EarlyStopping, optional
        An int is the patience in epochs. It needs validation data. At the end the weights of the
        best epoch are restored.
    clip_norm : float, optional
        Upper limit of the L2 norm of all gradients together, above 0.
    max_norm : float, optional
        Upper limit of the L2 norm of the incoming weights of each unit, above 0; applied after
        each step (Srivastava et al., 2014, section 5.1; 2 to 4 is usual).
    mixup : float, default 0.0
        The alpha of Beta(alpha, alpha), at least 0. Pairs of samples and their targets are mixed
        with a share drawn from it (Zhang et al., 2018). 0 turns mixup off. It cannot be combined
        with `sample_weight` or several inputs.
    metrics : dict of str to function (output, target) -> number, optional
        Additional figures of the validation data. Each function gets all outputs and targets as
        arrays.
    shuffle : bool, default True
        Whether each epoch has a new order of the samples.
    drop_last : bool, default False
        Whether to leave out a last batch that is not full.
    checkpoint : str or os.PathLike, optional
        The file for the state of the run. It is replaced atomically, so an interruption leaves the
        old or the new state.
    checkpoint_every : "epoch" or int, default "epoch"
        Write the checkpoint after each epoch, or each time this number of steps has been made. It
        is also written at the end of the run.
    resume : bool, default False
        If the checkpoint exists, continue from it. The result is bitwise the one of a run that was
        never interrupted. If False, an existing checkpoint is an error.
    progress : bool, default True
        Show progress on stderr: a bar where tqdm is installed and stderr is a terminal, otherwise
        lines of text.
    callbacks : function (Epoch) -> None, or iterable of such functions, default ()
        Called after each epoch.
    sample_weight : array (N,), optional
        The weight of each sample in the loss and in the figures, at least 0. The loss of a batch is
        the mean of weight * loss, with the weights scaled to a mean of 1 over the training data.
        A loss function of your own must return one row for each sample then, as
        ``nn.CrossEntropyLoss(reduction="none")`` does. Samples that `validation` sets aside keep
        their weights; other validation data get weights by ``Dataset(x, y).weighted(w)``.
    thinned : {"batch", "pair"}, optional
        Share the masks of each step (Graham, Reizenstein, Robinson, 2015). "batch": all samples of
        the batch train one thinned network. "pair": the samples of even number in the batch train
        one, those of odd number its complement; each p must be 0.5 or 0. It concerns the dropout
        (`nn.Dropout`, `F.dropout`) of inputs (N, units). In a `Sequential` the dense layers, with
        their activations, before and after it compute with the kept units only, forward, backward
        and gradient: at p = 0.5 a step of wide layers takes about half the time or less. Dropped
        weights get zeros as gradients. All other random layers draw as always. "batch" needs a
        lower learning rate than masks for each sample.

    Returns
    -------
    History
        One entry for each epoch: "loss", and "accuracy" or "rmse", of the training batches with
        dropout on; the same and the metrics of the validation data with "val_" before the name;
        "lr"; and "time", the seconds of the training steps.

    Raises
    ------
    TypeError, ValueError
        An argument is wrong, the checkpoint does not fit the model or the options, or a batch
        would have one sample for a batch norm. The model is unchanged.
    FloatingPointError
        The loss became NaN or infinite. The weights are those before this step, and the checkpoint
        is the last one that was written before.
    FileExistsError
        The checkpoint exists and `resume` is False.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 15, 2014.

    Graham, Reizenstein, Robinson, "Efficient batchwise dropout training using submatrices", 2015,
    arXiv:1502.02478.

    Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018,
    arXiv:1710.09412.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 8))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> model = fd.models.mlp(8, [32], 2, dropout=0.2)
    >>> history = fd.fit(model, (x, y), epochs=3, validation=0.2, progress=False)
    >>> list(history)
    ['loss', 'accuracy', 'val_loss', 'val_accuracy', 'lr', 'time']
    """
    checked_module(model, "model")
    dataset = as_data(data, "data", sample_weight)
    options = FitOptions(
        model=model,
        data=dataset,
        objective=Objective(loss, dataset, metrics),
        optimizer=optim.Adam(model.parameters()) if optimizer is None else optimizer,
        epochs=epochs,
        batch_size=batch_size,
        validation=as_validation(validation),
        scheduler=scheduler,
        scheduler_every=scheduler_every,
        early_stopping=as_early_stopping(early_stopping),
        clip_norm=clip_norm,
        max_norm=max_norm,
        mixup=mixup,
        shuffle=shuffle,
        drop_last=drop_last,
        checkpoint=None if checkpoint is None else os.fsdecode(checkpoint),
        checkpoint_every=checkpoint_every,
        resume=resume,
        progress=progress,
        callbacks=[callbacks] if callable(callbacks) else list(callbacks),
        thinned=thinned,
    )
    return TrainingRun(options).run()
