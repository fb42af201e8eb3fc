"""Time series from tables of text: columns of numbers in the order of time."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastdrop.data.readers import infer
from fastdrop.data.readers.cells import is_no_number, parse_date, parse_flag, parse_number
from fastdrop.data.readers.csv import column_name, column_number, first_row_has_names
from fastdrop.data.readers.header import is_index
from fastdrop.data.readers.table import read_error, read_text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array, FloatArray, PathLike
    from fastdrop.data.readers.table import TextTable

__all__ = ["Gap", "Series", "read_series"]

# Names of a first column that holds the time, whatever its cells are.
_TIME_NAMES = frozenset(
    ["time", "date", "datetime", "timestamp", "ds", "day", "week", "month", "year"]
)
# Steps of time are regular if this share of them has one length, up to the tolerance: months
# have 28 to 31 days. Working days are not regular.
_REGULAR, _TOLERANCE = 0.9, 0.15
_FEW = 20  # times of which half must have one length, and the others a multiple of it


class Gap(NamedTuple):
    """Times that are missing between two rows of a series.

    Attributes
    ----------
    row : int
        The row before the gap, from 0.
    steps : int
        How many rows are missing.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.data.Gap(row=11, steps=2)
    Gap(row=11, steps=2)
    """

    row: int
    steps: int


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """Columns of numbers in the order of time; `read_series` reads one from a file.

    Attributes
    ----------
    values : float32 array (T, C)
        A row for each time. NaN where the file has no value.
    names : list of str
        The name of each column; of a file without a header its number in the file, from 0.
    target : int
        The column of `values` that is to be forecast.
    time : list of str, float64 array (T,), or None
        The column of the time: numbers if all its cells are numbers, otherwise their text. None if
        there is no such column.
    time_name : str or None
        The name of that column.
    gaps : list of Gap
        Where times are missing, if the time is regular: `Gap.steps` rows after row `Gap.row`.
    path : str
        The file.
    has_header : bool
        Whether the file has a line of names.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> series = fd.data.Series(np.zeros((5, 2), np.float32), ["load", "wind"], target=0)
    >>> series
    Series(5 steps; load (target), wind)
    """

    values: Float32Array
    names: list[str]
    target: int
    time: list[str] | FloatArray | None = None
    time_name: str | None = None
    gaps: list[Gap] = field(default_factory=list)
    path: str = ""
    has_header: bool = True

    def __len__(self) -> int:
        return len(self.values)

    def label(self, row: int) -> str:
        """The time of a row as text; without a column of the time the row's number.

        Parameters
        ----------
        row : int
            From 0.

        Returns
        -------
        str
        """
        time = range(len(self)) if self.time is None else self.time
        found = time[row]
        return found if isinstance(found, str) else f"{found:.12g}"

    def __repr__(self) -> str:
        names = [
            name + " (target)" * (place == self.target) for place, name in enumerate(self.names)
        ]
        span = ""
        if self.time is not None and len(self):
            span = f", {self.label(0)} to {self.label(len(self) - 1)}"
        gaps = ""
        if self.gaps:
            first = self.gaps[0]
            gaps = (
                f"; {sum(gap.steps for gap in self.gaps)} times are missing, the first after "
                f"{self.label(first.row)}"
            )
        return f"Series({len(self)} steps{span}; {', '.join(names)}{gaps})"


def read_series(
    path: PathLike,
    *,
    target: str | int = -1,
    time: str | int | None = None,
    columns: Iterable[str | int] | None = None,
    ignore: Iterable[str | int] = (),
    header: bool | None = None,
) -> Series:
    """Read a time series from a table: a line for each time, the earliest first.

    Parameters
    ----------
    path : str or os.PathLike
        A file that `load_csv` reads: .csv, .csv.gz, .jsonl, with any usual separator.
    target : str or int, default -1
        The column to be forecast: its name in the header, or its number from 0; negative numbers
        count from the end.
    time : str or int, optional
        The column of the time. Default: the first column that holds ISO dates, or else the first
        column if its name is one of time, date, datetime, timestamp, ds, day, week, month, year.
        Its values only say in which order the lines are: they are no numbers of the series.
    columns : sequence of str or int, optional
        The columns of the series, in this order; the target must be one of them. Default: all but
        that of the time.
    ignore : sequence of str or int, default ()
        Columns to leave out of the default.
    header : bool, optional
        Whether the first line holds names. Default: yes if it does not look like the lines below.

    Returns
    -------
    Series
        Its values are NaN where a cell is empty or stands for a missing value (NA, nan, -, ...).

    Raises
    ------
    TypeError, ValueError
        There is no such column; a cell holds no number; a time is not later than the time before
        it; or the lines have different numbers of fields, also where only the header has one less.
        The message names file, line and column.
    OSError
        The file cannot be read.

    Notes
    -----
    Times that are missing in a regular series (steps of one length, or months) are told by
    `Series.gaps`. Nothing is filled in: neither rows nor values.

    Times that are neither numbers nor ISO dates are kept as text, and their order is not checked.

    Examples
    --------
    >>> import pathlib
    >>> import fastdrop as fd
    >>> path = pathlib.Path("load.csv")
    >>> _ = path.write_text("month,load\\n2020-01,5.5\\n2020-02,\\n2020-04,6.5\\n")
    >>> series = fd.data.read_series(path, target="load")
    >>> series.values.tolist(), series.gaps
    ([[5.5], [nan], [6.5]], [Gap(row=1, steps=1)])
    """
    path = os.fsdecode(path)
    table = read_text_table(path)
    if table.errors:
        raise read_error(path, table.errors)
    if not len(table):
        raise ValueError(f"{path!r} holds no line of data")
    width = len(table.columns)
    if table.lacks_name:
        raise ValueError(
            f"{path!r}, line {table.line(0)}: the header has {width - 1} names, but line "
            f"{table.line(1)} has {width} fields: it is not clear which name belongs to which "
            "column, so repair the header"
        )
    has_header = first_row_has_names(table, header)
    names = [cells[0].strip() for cells in table.columns] if has_header else None
    cells = [column[has_header:] for column in table.columns]
    if not cells[0]:
        raise ValueError(f"{path!r} holds no line of data below its header")
    target_place = column_number(target, "target", names, width, path)
    time_place = _time_place(time, target_place, names, cells, path)
    if columns is None:
        others = {column_number(column, "ignore", names, width, path) for column in ignore}
        if names is not None:
            others |= {i for i in range(width) if is_index(names[i], i, cells[i])}
        places = [i for i in range(width) if i not in (others - {target_place}) | {time_place}]
    else:
        places = [column_number(column, "columns", names, width, path) for column in columns]
    twice = [names[i] for i in places if names.count(names[i]) > 1] if names is not None else []
    if twice:
        raise ValueError(f"{path!r}, line {table.line(0)}: the name {twice[0]!r} occurs twice")
    if target_place not in places:
        raise ValueError(
            f"target must be a column of the series and not its time, got {target!r} of {path!r}"
        )

    def line(row: int) -> int:
        return table.line(row + has_header)

    errors: list[str] = []
    values = _numbers(places, cells, names, table, line, errors)
    known = None if time_place is None else _times(cells[time_place])
    if time_place is not None and known is not None:
        where = column_name(time_place, names)
        errors += _order_errors(known, cells[time_place], where, line)
    if errors:
        raise read_error(path, errors)
    labels: list[str] | FloatArray | None = None
    if time_place is not None:
        texts = [cell.strip() for cell in cells[time_place]]
        are_numbers = all(parse_number(text) is not None for text in texts)
        labels = known if known is not None and are_numbers else texts
    shown = names or [str(i) for i in range(width)]
    return Series(
        values,
        [shown[place] for place in places],
        places.index(target_place),
        labels,
        None if time_place is None else shown[time_place],
        [] if known is None or time_place is None else _gaps(known, cells[time_place]),
        path,
        has_header,
    )


def _time_place(
    time: str | int | None,
    target: int,
    names: list[str] | None,
    cells: Sequence[Sequence[str]],
    path: str,
) -> int | None:
    """The number of the column that holds the time; None if there is none."""
    if time is not None:
        return column_number(time, "time", names, len(cells), path)
    for place, column in enumerate(cells):
        if place != target and all(parse_date(cell) is not None for cell in column):
            return place
    if names is not None and target != 0 and names[0].lower() in _TIME_NAMES:
        return 0
    return None


def _numbers(
    places: Sequence[int],
    cells: Sequence[Sequence[str]],
    names: list[str] | None,
    table: TextTable,
    line: Callable[[int], int],
    errors: list[str],
) -> Float32Array:
    """The values (T, C) of columns of numbers. Appends to `errors`."""
    values = np.full((len(cells[0]), len(places)), np.nan, np.float32)
    present = {
        place: [text for text in Counter(cells[place]) if not is_no_number(text)]
        for place in places
    }
    readings = {
        place: infer.readings([text for text in texts if infer.holds("number", text)])
        for place, texts in present.items()
    }
    mark = infer.decimal_mark(readings.values())
    for column, place in enumerate(places):
        found, texts = readings[place], present[place]
        parse: Callable[[str], float | None] = parse_number
        if texts and all(parse_flag(text) is not None for text in texts):
            parse = parse_flag
        elif not found.decimals or len(found.percent) > 1:
            mixed = "decimal points and commas" if not found.decimals else "percent and numbers"
            errors.append(f"{column_name(place, names)} mixes {mixed}")
            continue
        else:
            style = infer.number_style(found, mark, table.separator)
            if style is not None:
                parse = style.parse
        numbers: dict[str, float] = {}
        wrong: dict[str, str] = {}
        for text in texts:
            number = parse(text)
            if number is None:
                wrong[text] = "expected a number"
            elif not abs(number) <= float(np.finfo(np.float32).max):
                wrong[text] = "expected a finite number that float32 can hold"
            else:
                numbers[text] = number
        values[:, column] = [numbers.get(text, np.nan) for text in cells[place]]
        errors += [
            f"line {line(row)}, {column_name(place, names)}: {wrong[text]}, got {text.strip()!r}"
            for row, text in enumerate(cells[place])
            if wrong and text in wrong
        ]
    return values


def _times(cells: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """The times as numbers: as they are, or days of ISO dates. None if they are other text.

    NaN where a cell is of another kind than the first one.
    """
    for parse in (parse_number, parse_date):
        if parse(cells[0]) is not None:
            found = [parse(cell) for cell in cells]
            return np.array([np.nan if time is None else time for time in found], np.float64)
    return None


def _order_errors(
    times: npt.NDArray[np.float64], cells: Sequence[str], column: str, line: Callable[[int], int]
) -> list[str]:
    """An error for each time that is missing, or not later than the time before it."""
    errors = [
        f"line {line(row)}, {column}: expected a time like {cells[0].strip()!r}, "
        f"got {cells[row].strip()!r}"
        for row in np.flatnonzero(~np.isfinite(times)).tolist()
    ]
    for row in (np.flatnonzero(np.diff(times) <= 0) + 1).tolist():
        errors.append(
            f"line {line(row)}, {column}: the time {cells[row].strip()!r} is not later than "
            f"{cells[row - 1].strip()!r} of line {line(row - 1)}; a series is in the order of time"
        )
    return errors


def _gaps(times: npt.NDArray[np.float64], cells: Sequence[str]) -> list[Gap]:
    """Where times are missing, if the time is regular."""
    if len(times) < 3:
        return []
    months = _months(cells)
    steps = np.diff(times if months is None else months)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    share = float(np.mean(np.abs(steps - usual) <= _TOLERANCE * usual))
    lengths = steps / usual
    if len(times) > _FEW:
        regular = share >= _REGULAR
    else:
        regular = share >= 0.5 and bool((abs(lengths - np.rint(lengths)) <= _TOLERANCE).all())
    if not regular:
        return []
    missing = np.rint(lengths).astype(np.int64) - 1
    return [Gap(row, int(missing[row])) for row in np.flatnonzero(missing > 0).tolist()]


def _months(cells: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Numbers of months if all dates name the same day of a month, or none; otherwise None."""
    texts = [cell.strip() for cell in cells]
    if len({text[7:] for text in texts}) != 1 or any(parse_date(text) is None for text in texts):
        return None
    return np.array([12 * int(text[:4]) + int(text[5:7]) for text in texts], np.float64)
