"""Wrong use of training and uncertainty: each marked line must be reported, and no other."""

import numpy as np

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.optim import lr_scheduler
from fastdrop.sklearn import DropoutClassifier
from fastdrop.train import EarlyStopping, Epoch

x, y = np.ones((8, 3)), np.zeros(8, np.int64)
model = nn.Sequential(nn.Linear(3, 2))
optimizer = optim.SGD(model.parameters(), lr=0.1)


def stop(epoch: Epoch, patience: int) -> None:
    epoch.stop = epoch.number > patience


def share(output: fd.Tensor, target: fd.Tensor) -> float:
    return (output - target).mean().item()


fd.fit(x, model)  # error: arg-type, reportArgumentType
fd.fit(model, (x, y), 10)  # error: call-arg, reportCallIssue
fd.fit(model, (x, y), epoch=3)  # error: call-arg, reportCallIssue
fd.fit(model, (x, y), epochs="3")  # error: arg-type, reportArgumentType
fd.fit(model, (x, y), optimizer="adam")  # error: arg-type, reportArgumentType
fd.fit(model, (x, y), scheduler=optimizer)  # error: arg-type, reportArgumentType
fd.fit(model, (x, y), callbacks=stop)  # error: arg-type, reportArgumentType
fd.fit(model, (x, y), metrics={"share": share})  # error: dict-item, reportArgumentType
fd.fit(model, (x, y), early_stopping="val_loss")  # error: arg-type, reportArgumentType
history = fd.fit(model, (x, y), epochs=0, progress=False)
last: float = history["loss"]  # error: assignment, reportAssignmentType
EarlyStopping(patient=3)  # error: call-arg, reportCallIssue

optim.SGD(model.parameters(), rate=0.1)  # error: call-arg, reportCallIssue
optim.SGD(model, lr=0.1)  # error: arg-type, reportArgumentType
optim.Adam(model.parameters(), betas=0.9)  # error: arg-type, reportArgumentType
lr_scheduler.StepLR(model, step_size=2)  # error: arg-type, reportArgumentType

mc = fd.mc_predict(model, x, samples=2, progress=False)
print(mc.entropi)  # error: attr-defined, reportAttributeAccessIssue
count: int = mc.mean  # error: assignment, reportAssignmentType
fd.mc_predict(x, model)  # error: arg-type, reportArgumentType
fd.calibration(mc)  # error: call-arg, reportCallIssue
print(fd.calibration(mc, y).ece)  # error: union-attr, reportAttributeAccessIssue
print(fd.temperature_scaling(x, y).t)  # error: attr-defined, reportAttributeAccessIssue
fd.predict("model", x)  # error: call-overload, reportArgumentType

DropoutClassifier(rate=0.5)  # error: call-arg, reportCallIssue
DropoutClassifier(dropout="0.5")  # error: arg-type, reportArgumentType
