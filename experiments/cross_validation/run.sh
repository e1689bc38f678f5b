#!/bin/sh
# Five-fold cross-validation of the shape model over all skulls of a folder: each skull is restored by a model that was
# fitted without its fold. Folds are by head: two scans of one head share a fold.
#   experiments/cross_validation/run.sh SKULLS OUT [SEED]
#       SKULLS: a folder with NNN_complete.nrrd and NNN_implant.nrrd (SkullFix); OUT: about 2 GB
# Makes OUT/folds.tsv, OUT/FAMILY.txt (evaluate's table, out of fold) and OUT/table.md (mean and standard deviation).
set -eu
skulls=$(realpath "$1")
out=$2
seed=${3:-1}
folds=5
here=$(dirname "$0")
calvaria=${CALVARIA:-build/calvaria}
families="official realistic"
mkdir -p "$out"

# Heads in a random order that the seed fixes; the group column of split.tsv keeps scans of one head together.
awk -v seed="$seed" -v folds="$folds" '
    { group[NR] = $3 == "" ? $1 : $3; name[NR] = $1 }
    END {
        srand(seed)
        for (i = 1; i <= NR; i++) if (!(group[i] in key)) { key[group[i]] = rand(); order[++n] = group[i] }
        for (i = 2; i <= n; i++) for (j = i; j > 1 && key[order[j]] < key[order[j - 1]]; j--) {
            t = order[j]; order[j] = order[j - 1]; order[j - 1] = t }
        for (i = 1; i <= n; i++) fold[order[i]] = (i - 1) % folds
        for (i = 1; i <= NR; i++) print name[i] "\t" fold[group[i]] "\t" group[i]
    }' "$here/../restoration/split.tsv" >"$out/folds.tsv"

# The cases: official implants, and one synthetic defect for each skull.
if [ ! -d "$out/truth/official" ]; then
    "$calvaria" pack "$skulls" --out "$out/all.h5"
    "$calvaria" unpack "$out/all.h5" --out "$out/truth/official"
fi
[ -d "$out/truth/realistic" ] || "$calvaria" inject "$out"/truth/official/*_complete.nrrd \
    --defects "$here/../../configs/defects/realistic.yaml" --seed "$seed" --out "$out/truth/realistic"

for fold in 0 1 2 3 4; do
    awk -v fold="$fold" '{ print $1 "\t" ($2 == fold ? "val" : "train") "\t" $3 }' "$out/folds.tsv" >"$out/split_$fold.tsv"
    if [ ! -f "$out/shape_$fold.h5" ]; then
        "$calvaria" pack "$skulls" --out "$out/set_$fold.h5" --split-file "$out/split_$fold.tsv"
        "$calvaria" shape "$out/set_$fold.h5" --out "$out/shape_$fold.h5"
        rm -f "$out/set_$fold.h5"
    fi
    for family in $families; do
        set --
        for name in $(awk -v fold="$fold" '$2 == fold { print $1 }' "$out/folds.tsv"); do
            for file in "$out/truth/$family/$name"*_defective.nrrd; do
                [ -f "$out/predicted/$family/$(basename "$file" _defective.nrrd)_implant.nrrd" ] || set -- "$@" "$file"
            done
        done
        [ $# -eq 0 ] || "$calvaria" infer --model "$out/shape_$fold.h5" "$@" --out "$out/predicted/$family" \
            --no-mesh --no-picture --no-page
    done
    rm -f "$out"/predicted/*/*_completed.nrrd
done

{
    echo '| defects | skulls | DSC | bDSC 10 mm | HD95 mm | volume error | DSC < .7 |'
    echo '|---|---|---|---|---|---|---|'
    for family in $families; do
        "$calvaria" evaluate --truth "$out/truth/$family" --predicted "$out/predicted/$family" \
            --out "$out/metrics_$family" >"$out/$family.txt"
        awk -F, -v family="$family" '
            function mean(c) { return s[c] / n[c] }
            function sd(c) { return sqrt((q[c] - s[c] * s[c] / n[c]) / (n[c] - 1)) }
            NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { for (c in at) { v = $(at[c]); if (v ~ /^[-+0-9.e]+$/) { s[c] += v; q[c] += v * v; n[c]++ } }
              low += $(at["dsc"]) < .7 }
            END { printf "| %s | %d | %.3f ± %.3f | %.3f ± %.3f | %.2f ± %.2f | %+.3f ± %.3f | %d |\n", family, n["dsc"],
                  mean("dsc"), sd("dsc"), mean("bdsc_mm"), sd("bdsc_mm"), mean("hd95_mm"), sd("hd95_mm"),
                  mean("volume_error"), sd("volume_error"), low }' "$out/metrics_$family/metrics.csv"
    done
} >"$out/table.md"
cat "$out/table.md"
