#!/bin/bash
# Files of every release stay readable: sets, models, shape models, pairs, ensembles, run folders of tests/old. usage: test_old_files.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1
export OMP_WAIT_POLICY=passive
ok "$calvaria" phantom --out "$work/skulls" --count 1 --seed 9 --spacing-mm 6

for old in tests/old/*/; do
    version=$(basename "$old")
    expect 0 'cases      ' "$calvaria" info "$old/set.h5"
    expect 0 'state: finished' "$calvaria" info "$old/run"
    expect 0 '--- network' "$calvaria" info "$old/run/best.h5"
    ok "$calvaria" infer --model "$old/run" "$work"/skulls/*.nii.gz --out "$work/out-$version"
    ok "$calvaria" export "$old/run" --model "$work/$version.h5"
    ok "$calvaria" unpack "$old/set.h5" --out "$work/unpacked-$version"

    # What came with later formats.
    [ ! -e "$old/shape.h5" ] || expect 0 'heads      ' "$calvaria" info "$old/shape.h5"
    [ ! -e "$old/pair.h5.gz" ] || gzip -dc "$old/pair.h5.gz" >"$work/pair.h5"
    for model in "$old/cascade.h5" "$old/ensemble.h5" "$work/pair.h5"; do
        [ -e "$model" ] || continue
        expect 0 '--- network' "$calvaria" info "$model"
        ok "$calvaria" infer --model "$model" "$work"/skulls/*.nii.gz --out "$work/out-$version-$(basename "$model" .h5)" \
            --no-mesh --no-picture --no-page
    done
    rm -f "$work/pair.h5"

    cp -r "$old/run" "$work/run-$version"
    ok "$calvaria" train --resume "$work/run-$version" --set train.steps=6 --set "data.set=$PWD/$old/set.h5"
    holds "a run of $version goes on" grep -q '^step: 6' "$work/run-$version/STATUS"
    holds "rows of $version stay" test "$(grep -c '^[1-4]	' "$work/run-$version/metrics.tsv")" -ge 4
done
finish
