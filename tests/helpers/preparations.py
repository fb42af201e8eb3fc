"""Descriptions of prepared samples, as `fastdrop train` saves them."""


def preparation(**changes):
    return {
        "features": 3,
        "origin": None,
        "classes": None,
        "inputs": {"mean": [0.0] * 3, "scale": [1.0] * 3},
        "target": None,
    } | changes


COLUMNS = {
    "kind": "csv",
    "names": ["a", "b", "c", "y"],
    "width": 4,
    "target": 3,
    "features": [{"place": i, "values": None} for i in range(3)],
}
