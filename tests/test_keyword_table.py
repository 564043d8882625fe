"""What a build makes of keyword models and their records, and what it refuses."""

from __future__ import annotations

import json
import re

import pytest

from keyword_support import STEPS, models
from tinyswitch.commands.building import keyword_models
from tinyswitch.compiler import compile_model, compile_stream
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.target import Choice
from tinyswitch.keywords import record, table
from tinyswitch.keywords.clips import CLASSES
from tinyswitch.nets import MODELS

CONTENT = {"classes": list(CLASSES), "held_out": {"accuracy": 0.91}, "speakers": {"held_out": ["ab12"]}}


def test_a_record_is_read_and_none_is_needed(tmp_path):
    model = tmp_path / "some.tflite"
    assert record.read(model) == record.Record(model, CLASSES, None, ())
    model.with_suffix(".json").write_text(json.dumps(CONTENT))
    assert record.read(model) == record.Record(model, CLASSES, 0.91, ("ab12",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not the record of a keyword model"),
        (json.dumps({**CONTENT, "speakers": {}}), "not the record of a keyword model"),
        (json.dumps({**CONTENT, "classes": ["a", "b"]}), "classes a, b; a keyword model tells silence"),
    ],
)
def test_records_that_cannot_be_are_one_line(tmp_path, content, says):
    path = tmp_path / "some.json"
    path.write_text(content)
    with pytest.raises(TinyswitchError, match=f"{re.escape(str(path))}: {says}") as error:
        record.read(tmp_path / "some.tflite")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["digits", "gesture"])
def test_models_that_take_something_else_are_refused(name):
    with pytest.raises(TinyswitchError, match=f"{name}.tflite: input .*; a keyword model takes 49 x 40"):
        table.check_all([compile_model(MODELS / f"{name}.tflite")])


def test_what_the_table_says_of_entries():
    plans = {name: compile_model(path) for name, path in models().items()}
    streams = {name: compile_stream(path) for name, path in models().items()}
    assert {name: table.step(stream) for name, stream in streams.items()} == STEPS
    known = {name: table.known(plans[name], streams[name], True) for name in plans}
    assert {k.group for k in known.values()} == {0} and {k.accuracy for k in known.values()} == {None}
    rows = table.ROW_CYCLES
    assert known["hasty"].cycles > 2 * rows and known["whole"].cycles > 16 * rows
    # the same rows each minute, but twice as many answers
    assert known["hasty"].energy >= known["streams"].energy >= known["whole"].energy > 0
    values = table.template_values(list(streams.values()))
    assert values == {"steps": list(STEPS.values()), "classes": list(CLASSES), "first_word": 2}


def test_the_projects_own_models_are_built_unless_others_are_named():
    assert keyword_models(Choice()) == record.shipped()
    assert record.shipped()[0] == record.DEFAULT
    named = str(models()["whole"])
    assert [str(path) for path in keyword_models(Choice(models=named))] == [named]
    with pytest.raises(TinyswitchError, match="--app keyword: its models take features"):
        keyword_models(Choice(net="mcunet-320kb-1mb"))
