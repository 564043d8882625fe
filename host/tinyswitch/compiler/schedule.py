"""Works out when each row is made and how long it is needed."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinyswitch.compiler.plan import INPUT, FeatureMap, Stage


@dataclass
class Life:
    """Of a feature map: when each row is written and last read, as indices into the schedule."""

    written: list[int] = field(default_factory=list)
    last_read: list[int] = field(default_factory=list)

    def slots(self, height: int) -> int:
        """Rows a ring must hold so that none is overwritten while needed."""
        oldest, most = 0, 1
        for newest in range(len(self.written)):
            while self.last_read[oldest] < self.written[newest] and oldest < newest:
                oldest += 1
            most = max(most, newest - oldest + 1)
        return min(most, height)


@dataclass
class Schedule:
    entries: list[int]  # stage indices and INPUT
    lives: dict[FeatureMap, Life]  # of every map that isn't constant
    steps: dict[Stage, list[int]]  # entries at which each stage runs


class _Replay:
    """Demand driven: a row is made when the row that needs it is, so each lives as short as it can."""

    def __init__(self, stages: list[Stage], model_input: FeatureMap):
        self.stages = stages
        self.input = model_input
        self.entries: list[int] = []
        self.lives: dict[FeatureMap, Life] = {model_input: Life()}
        self.next_step = [0] * len(stages)
        self.producer = {s.output: i for i, s in enumerate(stages)}
        self.steps: dict[Stage, list[int]] = {}

    def whole(self, feature_map: FeatureMap) -> None:
        """``feature_map`` is there when the schedule begins."""
        rows = feature_map.height
        self.lives[feature_map] = Life([-1] * rows, [-1] * rows)

    def demand(self, feature_map: FeatureMap, row: int) -> None:
        """Makes rows of a map up to ``row``, and first those that they need."""
        pending = [(feature_map, row)]
        while pending:
            wanted, last = pending[-1]
            if wanted.constant is not None or self._made(wanted) > last:
                pending.pop()
                continue
            missing = None if wanted is self.input else self._missing(self.producer[wanted])
            if missing is not None:
                pending.append(missing)
            elif wanted is self.input:
                self._append(INPUT, wanted)
            else:
                self._run(self.producer[wanted])

    def _made(self, feature_map: FeatureMap) -> int:
        life = self.lives.get(feature_map)
        return len(life.written) if life else 0

    def _missing(self, index: int) -> tuple[FeatureMap, int] | None:
        """A row that the stage's next step needs and that isn't made."""
        stage = self.stages[index]
        for source, reads in zip(stage.inputs, stage.reads, strict=True):
            rows = reads(self.next_step[index])
            if source.constant is None and rows and self._made(source) < rows.stop:
                return source, rows.stop - 1
        return None

    def _run(self, index: int) -> None:
        stage, step, now = self.stages[index], self.next_step[index], len(self.entries)
        for source, reads in zip(stage.inputs, stage.reads, strict=True):
            for row in reads(step) if source.constant is None else ():
                self.lives[source].last_read[row] = now
        self.next_step[index] += 1
        self.steps.setdefault(stage, []).append(now)
        self._append(index, stage.output if stage.row_made(step) is not None else None)

    def _append(self, entry: int, makes: FeatureMap | None) -> None:
        if makes is not None:
            life = self.lives.setdefault(makes, Life())
            life.written.append(len(self.entries))
            life.last_read.append(len(self.entries))
        self.entries.append(entry)


def make_schedule(
    stages: list[Stage], segments: list[range], model_input: FeatureMap, outputs: list[FeatureMap]
) -> Schedule:
    """The order in which rows are made: segment after segment, inside one on demand of its results."""
    replay = _Replay(stages, model_input)
    for segment in segments:
        _run_segment(replay, _results(stages, segment, outputs))
    if model_input.height:
        replay.demand(model_input, model_input.height - 1)  # rows nobody needs are still received
    end = len(replay.entries)
    for output in outputs:
        life = replay.lives[output]
        life.last_read = [end] * len(life.last_read)
    return Schedule(replay.entries, replay.lives, replay.steps)


def _results(stages: list[Stage], segment: range, outputs: list[FeatureMap]) -> list[FeatureMap]:
    """Maps that a segment makes and something behind it reads."""
    read = {m for s in stages[segment.stop :] for m in s.inputs} | set(outputs)
    return [stages[i].output for i in segment if stages[i].output in read]


def _run_segment(replay: _Replay, results: list[FeatureMap]) -> None:
    """Makes the results row by row, always of the one that is furthest behind."""
    left = {m: 0 for m in results}
    while left:
        behind = min(left, key=lambda m: left[m] / m.height)
        replay.demand(behind, left[behind])
        left[behind] += 1
        if left[behind] == behind.height:
            del left[behind]


def peak_alive(
    stages: list[Stage], segment: range, model_input: FeatureMap, outputs: list[FeatureMap]
) -> int:
    """Bytes alive at the worst moment of a segment, as a good layout will have it.

    Maps that are whole and single rows count only while they hold something, longer rings all the time: what
    is free in them between two rows is too scattered to be of use.
    """
    made_before = {s.output for s in stages[: segment.start]} | ({model_input} if segment.start else set())
    read_behind = {m for s in stages[segment.stop :] for m in s.inputs} | set(outputs)
    read_inside = {m for i in segment for m in stages[i].inputs}
    replay = _Replay([stages[i] for i in segment], model_input)
    for m in made_before & (read_inside | read_behind):
        if m.constant is None:
            replay.whole(m)
    _run_segment(replay, _results(stages, segment, outputs))
    for m in read_behind & replay.lives.keys():
        replay.lives[m].last_read = [len(replay.entries)] * len(replay.lives[m].written)
    return _peak(replay)


def _peak(replay: _Replay) -> int:
    change = [0] * (len(replay.entries) + 2)  # bytes that come alive at an entry

    def alive(first: int, last: int, size: int) -> None:
        change[max(first, 0)] += size  # what was made before is alive at 0
        change[last + 1] -= size

    for m, life in replay.lives.items():
        slots = life.slots(m.height)
        if 1 < slots < m.height:
            alive(min(life.written), max(life.last_read), slots * m.row_bytes)
            continue
        for first, last in zip(life.written, life.last_read, strict=True):
            if last >= 0:
                alive(first, last, m.row_bytes)
    for stage, steps in replay.steps.items():
        for first, last in stage.scratch_times(steps):
            alive(first, last, stage.scratch_bytes)
    peak = now = 0
    for c in change:
        now += c
        peak = max(peak, now)
    return peak
