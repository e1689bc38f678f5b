#!/bin/sh
# The worst case of each family by DSC, as one picture: what is right, missed, too much.
#   experiments/restoration/worst.sh TRUTH OUT FILE.png FAMILY...     TRUTH, OUT: those of measure.sh
set -eu
truth=$(realpath "$1")
out=$(realpath "$2")
png=$3
shift 3
calvaria=${CALVARIA:-build/calvaria}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/truth" "$work/predicted"
row=0
for family in "$@"; do
    row=$((row + 1))
    name=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        NR == 2 || $(at["dsc"]) < low { low = $(at["dsc"]); name = $1 }
        END { print name }' "$out/$family/metrics.csv")
    for what in defective implant; do
        ln -s "$truth/$family/${name}_$what".* "$work/truth/${row}_${family}_${name}_$what.nrrd"
    done
    ln -s "$out/$family/${name}_implant".* "$work/predicted/${row}_${family}_${name}_implant.nrrd"
done
"$calvaria" view "$work/predicted" --truth "$work/truth" --out "$png" --overwrite
