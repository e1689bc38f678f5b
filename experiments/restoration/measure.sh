#!/bin/sh
# One model on every family of defects: a table per family in OUT/FAMILY.txt, and all of them in OUT/table.md.
#   experiments/restoration/measure.sh TRUTH OUT FAMILY... -- OPTIONS     TRUTH: what truth.sh made; OPTIONS: of calvaria infer, as --model models/skullfix.h5
set -eu
truth=$1
out=$2
shift 2
calvaria=${CALVARIA:-build/calvaria}
families=
while [ "$1" != -- ]; do
    families="$families $1"
    shift
done
shift
mkdir -p "$out"
for family in $families; do
    "$calvaria" infer "$@" "$truth/$family"/*_defective.nrrd --out "$out/$family" --no-mesh --no-picture --no-page --overwrite >"$out/$family.infer.txt"
    "$calvaria" evaluate --truth "$truth/$family" --predicted "$out/$family" --out "$out/$family" --overwrite >"$out/$family.txt"
    rm -f "$out/$family"/*_completed.nrrd
done
{
    echo '| defects | cases | DSC mean | median | p95 | worst | bDSC 10 mm mean | median | HD95 mm mean | median | p95 | worst | volume error | within 10 % | failures |'
    echo '|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|'
    for family in $families; do
        # how many single implants have the true volume within a tenth
        within=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { v = $(at["volume_error"]); n += v > -.1 && v < .1 }
            END { print n + 0 }' "$out/$family/metrics.csv")
        awk -v family="$family" -v within="$within" '
            NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
            $1 == "mean" || $1 == "median" || $1 == "p95" || $1 == "worst" || $1 == "n" { for (c in at) value[$1, c] = $(at[c]) }
            /^failures/ { failures = $(NF - 2) }
            function v(row, column) { return value[row, column] }
            END {
                printf "| %s | %d | %.3f | %.3f | %.3f | %.3f |", family, v("n", "dsc"), v("mean", "dsc"), v("median", "dsc"), v("p95", "dsc"), v("worst", "dsc")
                printf " %.3f | %.3f |", v("mean", "bdsc_mm"), v("median", "bdsc_mm")
                h = "hd95_mm"
                printf " %.2f | %.2f | %.2f | %.2f | %+.3f | %d of %d | %d |\n", v("mean", h), v("median", h), v("p95", h), v("worst", h), v("mean", "volume_error"), within, v("n", "dsc"), failures
            }' <"$out/$family.txt"
    done
} >"$out/table.md"
cat "$out/table.md"
