"""The lists of a dataset: text, CSV and JSON of bounded size, in UTF-8."""

import csv
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hybrid_cvar.errors import DatasetError

__all__ = ["MOST_LIST_BYTES", "damaged_list", "read_csv", "read_json", "read_lines", "read_text"]

MOST_LIST_BYTES = 512 << 20
"""Of one list; the largest official one, Something-Something's train.json, takes 40 MB."""


def read_text(path: Path) -> str:
    """A list's text; a byte order mark is left out.

    Raises:
        DatasetError: it is missing, no plain file, over `MOST_LIST_BYTES` or not UTF-8.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DatasetError(f"{path} is no plain file", "a list is one", "put the dataset's own list there")
        if status.st_size > MOST_LIST_BYTES:
            raise DatasetError(
                f"{path}: {status.st_size} bytes",
                f"a list has at most {MOST_LIST_BYTES}",
                "put the dataset's own list there",
            )
        with path.open("rb") as file:
            data = file.read(MOST_LIST_BYTES + 1)
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror or error})", "", "check the file and its permissions"
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8",
            "a list is UTF-8 text",
            "save it as UTF-8, or fetch it again",
        ) from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without white space around it) of each line that is not empty.

    Raises:
        DatasetError: as `read_text`.
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if text := line.strip():
            yield number, text


def read_csv(path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(line from 1, fields without white space around them) of each row that is not empty.

    Raises:
        DatasetError: as `read_text`; or quotes are not closed, or a field is over the `csv` module's limit.
    """
    reader = csv.reader(read_text(path).split("\n"), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(fields := [field.strip() for field in row]):
                yield reader.line_num, fields
    except csv.Error as error:
        raise damaged_list(path, reader.line_num, str(error)) from error


def read_json(path: Path) -> Any:
    """What a JSON list holds.

    Raises:
        DatasetError: as `read_text`; or it is no JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise damaged_list(path, error.lineno, f"column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: {error}", "must be JSON of this dataset", "fetch it again") from error


def damaged_list(path: Path, line: int, found: str) -> DatasetError:
    """The error for a list that cannot be understood as a whole."""
    return DatasetError(f"{path}, line {line}: {found}", "the list is damaged there", "fetch it again or mend the line")
