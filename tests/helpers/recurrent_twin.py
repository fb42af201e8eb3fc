"""Recurrent layers as loops over cells in float64, with masks of the mask contract's reference."""

from __future__ import annotations

import numpy as np

from helpers.mask_reference import SHARED_ROW, keep_mask, keep_scale

SITES = 8


class Masks:
    """The masks of one direction of a layer: arrays (rows, units), scaled, or None for rate 0."""

    def __init__(self, torch, layer, number, samples, draw=0, seed=0):
        self.torch, self.layer, self.samples = torch, layer, samples
        self.stream = {"draw": draw, "seed": seed}
        self.site = SITES * number
        self.outs = layer.proj_size or layer.hidden_size

    def _of(self, p, offset, units, sub=0, scaled=True, rows=None):
        if not p:
            return None
        rows = self.samples if rows is None else rows
        kept = keep_mask(rows, units, p, site=self.site + offset, sub=sub, **self.stream)
        factor = float(keep_scale(p)) if scaled else 1.0
        return self.torch.tensor(kept.astype(np.float64) * factor)

    def gates(self, p, offset, units, count):
        """A mask for each gate; the same one where they share it."""
        return [self._of(p, offset, units, g if self.layer.per_gate else 0) for g in range(count)]

    def update(self, step):
        sub = step if self.layer.update_per_step else 0
        return self._of(self.layer.update_dropout, 3, self.layer.hidden_size, sub)

    def zone(self, which, step):
        p = zone_rate(self.layer, which)
        size = self.outs if which else self.layer.hidden_size
        return self._of(p, 4 + which, size, step, scaled=False)

    def output(self, p, step, each_step):
        return self._of(p, 2, self.outs, step if each_step else 0)

    def weights(self, rows):
        p = self.layer.weight_drop
        if not p:
            return None
        kept = [self._of(p, 6, self.outs, i, rows=[SHARED_ROW])[0] for i in range(rows)]
        return self.torch.stack(kept)


def zone_rate(layer, which):
    return layer.zoneout[which] if isinstance(layer.zoneout, tuple) else layer.zoneout


def times(x, mask):
    return x if mask is None else x * mask


def zoned(new, old, kept, p, training):
    if training:
        return new if kept is None else kept * new + (1 - kept) * old
    return (1 - p) * new + p * old


def cell_step(torch, layer, x, h, c, weights, masks, step, training):
    """h and c after a step of some samples."""
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    count = w_hh.shape[0] // layer.hidden_size
    in_masks, h_masks = masks["input"], masks["hidden"]
    a = [
        times(x, m) @ w.T + b
        for m, w, b in zip(in_masks, w_ih.chunk(count), b_ih.chunk(count), strict=True)
    ]
    r = [
        times(h, m) @ w.T + b
        for m, w, b in zip(h_masks, w_hh.chunk(count), b_hh.chunk(count), strict=True)
    ]
    update, zone_c, zone_h = masks["update"], masks["zone_c"], masks["zone_h"]
    new_c = None
    if layer.mode == "LSTM":
        i, f, o = (torch.sigmoid(a[k] + r[k]) for k in (0, 1, 3))
        made = f * c + i * times(torch.tanh(a[2] + r[2]), update)
        new_h = o * torch.tanh(made)
        if w_hr is not None:
            new_h = new_h @ w_hr.T
        new_c = zoned(made, c, zone_c, zone_rate(layer, 0), training)
    elif layer.mode == "GRU":
        reset, z = (torch.sigmoid(a[k] + r[k]) for k in (0, 1))
        new_h = (1 - z) * times(torch.tanh(a[2] + reset * r[2]), update) + z * h
    elif layer.mode == "RNN_TANH":
        new_h = torch.tanh(a[0] + r[0])
    else:
        new_h = torch.relu(a[0] + r[0])
    return zoned(new_h, h, zone_h, zone_rate(layer, 1), training), new_c


def run(torch, layer, parameters, x, lengths, h0, c0, samples=None, draw=0, training=True):
    """(outputs of each sequence, h_n, c_n) of sequences x[b] (lengths[b], inputs).

    parameters: name -> float64 tensor; h0, c0: (layers * directions, sequences, units).
    """
    directions = 2 if layer.bidirectional else 1
    samples = list(range(len(x))) if samples is None else samples
    all_h, all_c = [], []
    for number in range(layer.num_layers):
        outputs = []
        for direction in range(directions):
            suffix = f"_l{number}" + ("_reverse" if direction else "")
            w = [
                parameters.get(name + suffix, torch.zeros(1, dtype=torch.float64))
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            rows = w[1].shape[0]
            w[2], w[3] = (b.expand(rows) for b in w[2:])
            w.append(parameters.get("weight_hr" + suffix))
            count, index = rows // layer.hidden_size, number * directions + direction
            results, last_h, last_c = [], [], []
            for b, sequence in enumerate(x):
                m = Masks(torch, layer, index, [samples[b]], draw)
                if training and (dropped := m.weights(rows)) is not None:
                    weights = [w[0], w[1] * dropped, *w[2:]]
                else:
                    weights = w
                h = h0[index, b : b + 1]
                c = c0[index, b : b + 1] if c0 is not None else None
                steps = list(range(lengths[b]))
                if direction:
                    steps.reverse()
                out = [None] * lengths[b]
                none = [None] * count
                fixed = {
                    "input": m.gates(layer.input_dropout, 0, sequence.shape[1], count)
                    if training and number == 0
                    else none,
                    "hidden": m.gates(layer.recurrent_dropout, 1, m.outs, count)
                    if training
                    else none,
                }
                for t in steps:
                    masks = fixed | {
                        "update": m.update(t) if training else None,
                        "zone_c": m.zone(0, t) if training else None,
                        "zone_h": m.zone(1, t) if training else None,
                    }
                    h, c = cell_step(
                        torch, layer, sequence[t : t + 1], h, c, weights, masks, t, training
                    )
                    last = number == layer.num_layers - 1
                    p = layer.output_dropout if last else layer.dropout
                    mask = m.output(p, t, not (last or layer.variational)) if training else None
                    out[t] = times(h, mask)
                results.append(torch.cat(out))
                last_h.append(h)
                last_c.append(c)
            outputs.append(results)
            all_h.append(torch.cat(last_h))
            if c0 is not None:
                all_c.append(torch.cat(last_c))
        x = [torch.cat(parts, 1) for parts in zip(*outputs, strict=True)]
    return x, torch.stack(all_h), torch.stack(all_c) if all_c else None
