#!/bin/sh
# Accuracy and calibration of a shape model for each family of defects: a row of bench_shape_calibration for all cases of
# a family; the rows of single cases in OUT/FAMILY.md.
#   experiments/shape/calibration.sh TRUTH OUT MODEL.h5 FAMILY...     TRUTH: what experiments/restoration/truth.sh made
# BENCH (build/bench_shape_calibration) is the program.
set -eu
truth=$1
out=$2
model=$3
shift 3
bench=${BENCH:-build/bench_shape_calibration}
mkdir -p "$out"
for family in "$@"; do
    cases=
    for file in "$truth/$family"/*_defective.*; do
        cases="$cases $file $(echo "$file" | sed 's/_defective\./_implant./')"
    done
    # shellcheck disable=SC2086 # paths without blanks
    "$bench" "$model" $cases >"$out/$family.md"
done
{
    sed 2q "$out/$1.md" | sed '1s/case/defects/'
    for family in "$@"; do
        sed -n "s/^| all |/| $family |/p" "$out/$family.md"
    done
} >"$out/table.md"
cat "$out/table.md"
