"""Traces: what a CSV file means, and what is said about one that means nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import examples
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.dynamic import trace
from tinyswitch.evaluate.dynamic.trace import Load, Row, Unit

UNIT = Unit(seconds=0.5, ram_bytes=40_000)


def read(folder: Path, text: str) -> trace.Trace:
    path = folder / "t.csv"
    path.write_text(text)
    return trace.read(path)


def test_empty_cells_are_as_before(tmp_path):
    found = read(tmp_path, "time_s,cpu,ram_kb,deadline_ms,battery\n1,0.5,10,200,0.9\n2,,20,,\n\n3,0,,,0.1\n")
    assert found.rows == (
        Row(1, cpu=0.5, ram_kb=10, deadline_ms=200, battery=0.9),
        Row(2, cpu=0.5, ram_kb=20, deadline_ms=200, battery=0.9),
        Row(3, cpu=0.0, ram_kb=20, deadline_ms=200, battery=0.1),
    )


def test_columns_may_be_missing_and_in_any_order(tmp_path):
    found = read(tmp_path, "# a comment\ncpu, time_s\n0.25, 4\n")
    assert found.rows == (Row(4, cpu=0.25),)
    assert found.rows[0].load(UNIT) == Load(cpu=0.25)
    assert not found.has_deadline


def test_no_load_before_the_first_row_and_the_last_holds_on(tmp_path):
    found = read(tmp_path, "time_s,cpu\n1,0.1\n2.5,0.2\n")
    assert [found.at(t).cpu for t in (0, 0.999, 1, 2.499, 2.5, 1e9)] == [0, 0, 0.1, 0.1, 0.2, 0.2]
    assert found.end_s == 2.5


def test_within_is_open_at_both_ends(tmp_path):
    found = read(tmp_path, "time_s,cpu\n1,0.1\n1.5,0.2\n2,0.3\n")
    assert [row.time_s for row in found.within(1, 2)] == [1.5]


def test_units(tmp_path):
    row = read(tmp_path, "time_s,ram_kb,deadline_ms\n0,1.5,250\n").rows[0]
    assert row.load(UNIT) == Load(ram_bytes=1500, deadline_us=250_000)
    row = read(tmp_path, "time_s,ram,deadline\n0,0.25,1.2\n").rows[0]
    assert row.load(UNIT) == Load(ram_bytes=10_000, deadline_us=600_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'time_s'"),
        ("cpu\n0.1\n", "no column 'time_s'"),
        ("time_s,cpu\n", "no rows below the header"),
        ("time_s,cpu\n# nothing\n\n", "no rows below the header"),
        ("time_s,speed\n0,1\n", "unknown column 'speed'; there are time_s, cpu"),
        ("time_s,cpu,cpu\n0,1,1\n", "column 'cpu' is there twice"),
        ("time_s,deadline,deadline_ms\n0,1,1\n", "'deadline_ms' and 'deadline' say the same thing"),
        ("time_s,cpu\n2,0.1\n\n1,0.2\n", "line 4: time_s 1 does not come after 2 of line 2"),
        ("time_s,cpu\n2,0.1\n2,0.2\n", "line 3: time_s 2 does not come after 2 of line 2"),
        ("time_s,cpu\n0,much\n", "line 2: cpu 'much' is not a number"),
        ("time_s,cpu\n0,0.96\n", "line 2: cpu 0.96 is not within 0 and 0.95"),
        ("time_s,cpu\n0,nan\n", "line 2: cpu nan is not within 0 and 0.95"),
        ("time_s,battery\n0,-0.1\n", "line 2: battery -0.1 is not within 0 and 1"),
        ("time_s\n-1\n", "line 2: time_s -1 is not within"),
        ("time_s,deadline_ms\n0,inf\n", "line 2: deadline_ms inf is not within"),
        ("time_s,cpu\n,0.1\n", "line 2: time_s is empty"),
        ("time_s,cpu\n0\n", "line 2: 1 cells, the header has 2"),
        ('time_s,cpu\n0,"0.1\n', "line 2: not CSV"),
    ],
)
def test_errors_are_one_line_with_file_line_and_value(tmp_path, text, message):
    with pytest.raises(TinyswitchError) as error:
        read(tmp_path, text)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 't.csv'}: ") and "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    for path, text in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(TinyswitchError, match=text):
            trace.read(path)
    (tmp_path / "x.csv").write_bytes(b"time_s\n\xff\n")
    with pytest.raises(TinyswitchError, match=r"x.csv: not a CSV file in UTF-8"):
        trace.read(tmp_path / "x.csv")


@examples(200)
@given(st.lists(st.floats(0, 1000), min_size=1, unique=True).map(sorted), st.data())
def test_at_and_within_agree_with_a_search_of_all_rows(times, data):
    found = trace.Trace(Path("t"), tuple(Row(time, cpu=i / 100) for i, time in enumerate(times)), "")
    begin = data.draw(st.one_of(st.floats(0, 1001), st.sampled_from(times)))
    end = begin + data.draw(st.floats(0, 100))
    before = [row for row in found.rows if row.time_s <= begin]
    assert found.at(begin) == (before[-1] if before else Row(0.0))
    assert list(found.within(begin, end)) == [row for row in found.rows if begin < row.time_s < end]


@examples(200)
@given(st.binary(max_size=200))
def test_noise_is_a_trace_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "noise.csv"
    path.write_bytes(b"time_s,cpu,battery\n" + content)
    try:
        assert trace.read(path).rows
    except TinyswitchError as error:
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("path", sorted(trace.FOLDER.glob("*.csv")), ids=lambda path: path.stem)
def test_shipped_traces(path):
    found = trace.read(path)
    assert 30 <= found.end_s <= 250
    quiet = path.stem == "quiet"  # nothing but time passes there
    assert found.has_deadline != quiet
    assert (max(row.cpu for row in found.rows) >= 0.4) != quiet
