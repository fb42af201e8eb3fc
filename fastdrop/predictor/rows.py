"""Raw rows (arrays, tables, dicts) as samples for a model, by the columns of its training data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor
from fastdrop.data.dataset import Dataset
from fastdrop.data.readers.columns import NumberText, RowEncoder

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array
    from fastdrop.data.preprocessing import Preparation

_SOURCE = "rows"  # in the encoder's messages
_PLAIN = {"place", "values"}  # entries of a feature without a style, kind or filling
_UNKNOWN = ("NAType", "NaTType")  # pandas' missing values, which are equal to nothing


def samples_of(rows: Any, preparation: Preparation) -> Float32Array:
    """Raw rows as the model takes them: encoded, standardised, float32 (N, features).

    Parameters
    ----------
    rows : array (N, columns), DataFrame, dict, list of dicts, list of lists, or Dataset
        `Predictor` describes them. The samples of a Dataset are encoded already.
    preparation : Preparation
        What was done with the training data.

    Raises
    ------
    TypeError, ValueError
        The rows lack a column, have another number of columns, or hold a value that the training
        data do not allow. The message names row and column.
    """
    if (preparation.origin or {}).get("kind") in ("images", "texts"):
        if isinstance(rows, (Dataset, Tensor)):
            rows = rows.x if isinstance(rows, Dataset) else rows.data
        return preparation.samples(rows)
    if isinstance(rows, Dataset):
        _check_encoding(rows.origin, preparation.origin)
        return preparation.samples(rows.x)
    if isinstance(rows, Tensor):
        rows = rows.data
    if hasattr(rows, "toarray") and hasattr(rows, "nnz"):
        raise TypeError(
            "rows must be dense, got a sparse matrix: its toarray() makes an array of it"
        )
    columns = preparation.origin if (preparation.origin or {}).get("kind") == "csv" else None
    table = _named_columns(rows)
    if table is None:
        return _by_position(rows, columns, preparation)
    names, values = table
    if columns is None or columns["names"] is None or _are_positions(rows, names):
        if isinstance(rows, (Mapping, Sequence)):
            raise ValueError(
                "the model knows its inputs by position, not by name: "
                "rows must be an array or a DataFrame, not dicts"
            )
        return _by_position(values, columns, preparation, of_columns=True)
    wanted = [columns["names"][feature["place"]] for feature in columns["features"]]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"rows have no column {missing[0]!r}; they have {', '.join(names)}")
    twice = [name for name in wanted if names.count(name) > 1 or columns["names"].count(name) > 1]
    if twice:
        raise ValueError(f"the column {twice[0]!r} occurs twice, in rows or in the training data")
    return _encoded([values[names.index(name)] for name in wanted], columns, preparation)


def _check_encoding(found: dict[str, Any] | None, trained: dict[str, Any] | None) -> None:
    """ValueError if a Dataset was read from a table whose cells became other numbers."""
    if (found or {}).get("kind") != "csv" or (trained or {}).get("kind") != "csv":
        return
    if _encoding(found) != _encoding(trained):
        raise ValueError(
            "rows is a Dataset of a table whose columns were encoded otherwise than those of the "
            "training data: give the table's rows themselves (a DataFrame, dicts, lists), or use "
            "the command 'fastdrop predict'"
        )


def _encoding(columns: Any) -> list[Any]:
    """What decides which numbers a row becomes: categories, kinds and filled values."""
    return [
        (feature["values"], feature.get("kind", "number"), feature.get("fill") is None)
        for feature in columns["features"]
    ]


def _named_columns(rows: Any) -> tuple[list[str], list[Any]] | None:
    """(names, the values of each column) of a table with names; None if there are no names."""
    if hasattr(rows, "to_pylist"):  # a table of Arrow
        rows = rows.to_pylist()
    elif hasattr(rows, "to_dicts"):  # a DataFrame of polars
        rows = rows.to_dicts()
    elif hasattr(rows, "iloc") and hasattr(rows, "columns"):  # a DataFrame of pandas
        found = [rows.iloc[:, i] for i in range(rows.shape[1])]
        return [str(name) for name in rows.columns], found
    elif hasattr(rows, "iloc") and hasattr(rows, "to_dict"):  # one row of it
        rows = rows.to_dict()
    elif isinstance(rows, np.ndarray) and rows.dtype.names:
        return list(rows.dtype.names), [rows[name].reshape(-1) for name in rows.dtype.names]
    if isinstance(rows, Mapping):
        names, values = [str(name) for name in rows], list(rows.values())
        if not any(_is_column(value) for value in values):
            return names, [[value] for value in values]
        lengths = {len(value) if _is_column(value) else None for value in values}
        if len(lengths) > 1:
            raise ValueError(
                "rows must have columns of equal lengths, got "
                + ", ".join(
                    f"{name}: {len(value) if _is_column(value) else 'one value'}"
                    for name, value in zip(names, values, strict=True)
                )
            )
        return names, values
    if isinstance(rows, Sequence) and rows and isinstance(rows[0], Mapping):
        names = [str(name) for name in rows[0]]
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise TypeError(f"row {number}: expected a dict, got {check.describe(row)}")
        # A column that some rows lack is a column that all of them lack.
        kept = [name for name in rows[0] if all(name in row for row in rows)]
        _refuse_gaps(rows, kept)
        return [str(name) for name in kept], [[row[name] for row in rows] for name in kept]
    return None


def _refuse_gaps(rows: Sequence[Any], kept: list[Any]) -> None:
    """ValueError if a name of the first row is missing in another one."""
    for name in rows[0]:
        if name not in kept:
            number = next(i for i, row in enumerate(rows) if name not in row)
            raise ValueError(f"row {number}: {name!r} is missing")


def _is_column(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and hasattr(value, "__len__")


def _are_positions(rows: Any, names: list[str]) -> bool:
    """Whether a DataFrame has the numbers 0, 1, ... as names, because it was made of an array."""
    return hasattr(rows, "iloc") and names == [str(i) for i in range(len(names))]


def _by_position(
    rows: Any,
    columns: dict[str, Any] | None,
    preparation: Preparation,
    of_columns: bool = False,
) -> Float32Array:
    """Rows without names, or with names that the model does not know (`of_columns`)."""
    if columns is None:
        if not of_columns:
            rows = check.as_array(rows, "rows")
        if of_columns or (rows.ndim == 2 and rows.dtype.kind in "Ob"):
            columns_of_rows = rows if of_columns else rows.T
            rows = _stacked([_numbers(values) for values in columns_of_rows], rows)
        return preparation.samples(rows)
    if of_columns:
        values = list(rows)
    else:
        array = rows if isinstance(rows, np.ndarray) else _table(rows)
        if array.ndim != 2:
            raise ValueError(
                f"rows must have 2 dimensions, one row for each sample, got shape {array.shape}"
            )
        values = list(array.T)
    features, width, target = columns["features"], columns["width"], columns["target"]
    places = [feature["place"] for feature in features]
    if len(values) == width:  # with the target
        values = [values[place] for place in places]
    elif len(values) == width - 1:  # without it
        values = [values[place - (place > target)] for place in places]
    elif len(values) != len(places):  # only the inputs, without ignored columns
        known = columns["names"]
        raise ValueError(
            f"rows must have {len(places)} columns"
            + (f" ({', '.join(known[place] for place in places)})" if known else "")
            + f", got {len(values)}"
        )
    return _encoded(values, columns, preparation)


def _table(rows: Any) -> npt.NDArray[Any]:
    """Nested lists as an array; numbers beside text keep their type."""
    if isinstance(rows, Sequence) and rows and not isinstance(rows, str):
        first = rows[0]
        if isinstance(first, Sequence) and not isinstance(first, str):
            flat = [value for row in rows if isinstance(row, Sequence) for value in row]
            if not all(isinstance(value, (int, float)) for value in flat):
                if any(not isinstance(row, Sequence) or len(row) != len(first) for row in rows):
                    raise ValueError("rows must have the same number of fields each")
                table = np.empty((len(rows), len(first)), object)
                for i, row in enumerate(rows):
                    for j, value in enumerate(row):
                        table[i, j] = value
                return table
    return check.as_array(rows, "rows")


def _numbers(values: Any) -> npt.NDArray[Any]:
    """One column as numbers; missing values are NaN."""
    array = np.asarray(values)
    if array.dtype.kind in "fiu":
        return array
    if array.dtype.kind == "b":
        return array.astype(np.float64)
    found = np.empty(len(array), np.float64)
    for i, value in enumerate(array.tolist()):
        if value is None or type(value).__name__ in _UNKNOWN:
            found[i] = np.nan
        elif isinstance(value, (int, float, np.number)):
            found[i] = float(value)
        else:
            raise ValueError(f"row {i}: expected a number, got {check.describe(value)}")
    return found


def _stacked(columns: list[npt.NDArray[Any]], rows: Any) -> npt.NDArray[Any]:
    if not columns:
        raise ValueError(f"rows must have at least one column, got {check.describe(rows)}")
    return np.column_stack(columns)


def _encoded(values: list[Any], columns: dict[str, Any], preparation: Preparation) -> Float32Array:
    """The samples for the values of each input's column, in the order of the inputs."""
    arrays = [_cells(column) for column in values]
    features = columns["features"]
    if len(features) == preparation.features and all(
        feature["values"] is None
        and feature.keys() <= _PLAIN
        and array.dtype.kind in "fiu"
        and np.isfinite(array).all()
        for feature, array in zip(features, arrays, strict=True)
    ):  # numbers alone: no text in between
        return preparation.samples(np.column_stack(arrays))
    encoder = RowEncoder(columns, preparation.features, _SOURCE)
    encoder.locate_columns(columns["names"] or [""] * columns["width"])
    fields = [""] * columns["width"]
    block = np.empty((len(arrays[0]), preparation.features))
    inputs = [(feature["place"], feature["values"]) for feature in features]
    for number, row in enumerate(zip(*(array.tolist() for array in arrays), strict=True)):
        try:
            for (place, categories), value in zip(inputs, row, strict=True):
                fields[place] = _field(value, categories, place)
            block[number] = encoder(number, fields)
        except ValueError as error:
            raise ValueError(_located(str(error), number, columns["names"])) from None
    return preparation.samples(block)


def _cells(column: Any) -> npt.NDArray[Any]:
    """The values of a column; dates of NumPy and pandas as text."""
    array = np.asarray(column)
    if array.dtype.kind in "US" and isinstance(column, (list, tuple)):
        # Numbers beside text stay numbers: the decimal sign of the file is for text alone.
        array = np.empty(len(column), object)
        array[:] = column
    if array.dtype.kind != "M":
        return array
    text = np.datetime_as_string(array, unit="s").astype(object)
    text[np.isnat(array)] = None
    return text


def _field(value: Any, categories: list[str] | None, place: int) -> str:
    """A value as the text that a file would hold: what the encoder takes."""
    if isinstance(value, str):
        return value
    if value is None or type(value).__name__ in _UNKNOWN:
        return ""
    if isinstance(value, (bool, np.bool_)):
        if categories is None:
            return "1" if value else "0"
        return str(value) if str(value) in categories else str(value).lower()
    if isinstance(value, (int, np.integer)):
        return NumberText(int(value))
    if isinstance(value, (float, np.floating)):
        if value != value:
            return ""
        text = repr(float(value))
        # An integer column with missing values is a column of floats in a DataFrame.
        whole = text.removesuffix(".0")
        return NumberText(whole if categories is not None and text not in categories else text)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if hasattr(value, "isoformat"):  # a date or a time
        return str(value.isoformat())
    if hasattr(value, "__float__"):  # a decimal number
        return NumberText(value)
    raise ValueError(f"column {place + 1}: expected a number or text, got {check.describe(value)}")


def _located(message: str, number: int, names: list[str] | None) -> str:
    """An encoder's message with the row's number and the column's name in place of a line's."""
    message = message.removeprefix(f"{_SOURCE!r}, line {number}, ")
    found = re.match(r"column (\d+)", message)
    if found and names is not None:
        message = f"column {names[int(found[1]) - 1]!r}" + message[found.end() :]
    return f"row {number} (from 0), {message}"
