"""Wrong use of layers and tensors: each marked line must be reported, and no other."""

import numpy as np

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn

nn.Linear("3", 4)  # error: arg-type, reportArgumentType
nn.Linear(3)  # error: call-arg, reportCallIssue
nn.Dropout(rate=0.5)  # error: call-arg, reportCallIssue
nn.Dropout("0.5")  # error: arg-type, reportArgumentType
nn.Sequential(nn.Linear(3, 4), 5)  # error: call-overload, reportArgumentType
nn.Convolution(3, 4)  # error: attr-defined, reportAttributeAccessIssue
fd.reluu(np.ones(3))  # error: attr-defined, reportAttributeAccessIssue
F.relu7(np.ones(3))  # error: attr-defined, reportAttributeAccessIssue

model = nn.Sequential(nn.Linear(3, 4))
number: float = model(np.ones((2, 3)))  # error: assignment, reportAssignmentType
text: str = F.relu(np.ones(3))  # error: assignment, reportAssignmentType
model[0.5]  # error: call-overload, reportCallIssue
model.load_state_dict([])  # error: arg-type, reportArgumentType
model.train("yes")  # error: arg-type, reportArgumentType
model(np.ones((2, 3))).backwards()  # error: attr-defined, reportAttributeAccessIssue
fd.tensor([1.0]).sum(dims=0)  # error: call-arg, reportCallIssue
fd.tensor([1.0]).grad.numpy()  # error: union-attr, reportOptionalMemberAccess
fd.tensor([1.0], requires_grad="no")  # error: arg-type, reportArgumentType
fd.manual_seed("0")  # error: arg-type, reportArgumentType
