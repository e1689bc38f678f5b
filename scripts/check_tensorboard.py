#!/usr/bin/env python3
"""Does TensorBoard read a run's event files, and are its values those of metrics.tsv?

    calvaria train RECIPE --run runs/first && scripts/check_tensorboard.py runs/first      # pip install tensorboard
"""
import csv, math, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = sys.argv[1]
seen = EventAccumulator(run, size_guidance={"scalars": 0, "images": 0})
seen.Reload()
rows = list(csv.DictReader(open(f"{run}/metrics.tsv"), delimiter="\t"))
checked = 0
for tag in seen.Tags()["scalars"]:
    group, column = tag.split("/")
    column = ("val_" if group == "val" else "") + column
    table = [(int(r["step"]), float(r[column])) for r in rows if r[column] and math.isfinite(float(r[column]))]
    events = [(e.step, e.value) for e in seen.Scalars(tag)]
    assert [s for s, _ in table] == [s for s, _ in events], (tag, "other steps")
    assert all(math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-12) for (_, a), (_, b) in zip(table, events)), tag
    checked += len(events)
assert checked > 0
print(f"{checked} values of {len(seen.Tags()['scalars'])} curves agree, {len(seen.Images('validation')) if 'validation' in seen.Tags()['images'] else 0} pictures")
