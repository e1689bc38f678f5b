#!/bin/bash
# Files of every release stay readable: sets, models, run folders of tests/old. usage: test_old_files.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1
export OMP_WAIT_POLICY=passive
ok "$calvaria" phantom --out "$work/skulls" --count 1 --seed 9 --spacing-mm 8

for old in tests/old/*/; do
    version=$(basename "$old")
    expect 0 'cases      3' "$calvaria" info "$old/set.h5"
    expect 0 'state: finished' "$calvaria" info "$old/run"
    expect 0 '--- network' "$calvaria" info "$old/run/best.h5"
    ok "$calvaria" infer --model "$old/run" "$work"/skulls/*.nii.gz --out "$work/out-$version"
    ok "$calvaria" export "$old/run" --model "$work/$version.h5"

    cp -r "$old/run" "$work/run-$version"
    ok "$calvaria" train --resume "$work/run-$version" --set train.steps=6 --set "data.set=$PWD/$old/set.h5"
    holds "a run of $version goes on" grep -q '^step: 6' "$work/run-$version/STATUS"
    holds "rows of $version stay" test "$(grep -c '^[1-4]	' "$work/run-$version/metrics.tsv")" -ge 4
done
finish
