#!/bin/sh
# Five-fold cross-validation of the shape model over all skulls of a folder: each skull is restored by a model that was
# fitted without its fold. Folds are by head: two scans of one head share a fold.
#   experiments/cross_validation/run.sh SKULLS OUT [MORE]
#       SKULLS: a folder with NNN_complete.nrrd and NNN_implant.nrrd (SkullFix); OUT: 8 GB, 1 GB at 0.8 mm
#       MORE: a folder with NNN_defective.nrrd (the SkullFix test set), learnt in every fold, its holes masked
# SEED (1) draws the folds; FAMILIES names the defects, SPACING a grid in mm instead of the skulls' own, OMP_NUM_THREADS
# the threads. What is there already is kept.
# Makes OUT/folds.tsv, OUT/metrics_FAMILY/metrics.csv and OUT/table.md (mean and standard deviation over the skulls).
set -eu
skulls=$(realpath "$1")
out=$2
more=${3:-}
folds=5
here=$(dirname "$0")
calvaria=${CALVARIA:-build/calvaria}
families=${FAMILIES:-official blobs craniotomy bilateral_large}
spacing=${SPACING:-0}
same_head="040 065 092" # of MORE: scans of the head of 011 and 042
mkdir -p "$out/set"

# Heads in a random order that the seed fixes; the group column of split.tsv keeps scans of one head together.
awk -v seed="${SEED:-1}" -v folds="$folds" '
    { group[NR] = $3 == "" ? $1 : $3; name[NR] = $1 }
    END {
        srand(seed)
        for (i = 1; i <= NR; i++) if (!(group[i] in key)) { key[group[i]] = rand(); order[++n] = group[i] }
        for (i = 2; i <= n; i++) for (j = i; j > 1 && key[order[j]] < key[order[j - 1]]; j--) {
            t = order[j]; order[j] = order[j - 1]; order[j - 1] = t }
        for (i = 1; i <= n; i++) fold[order[i]] = (i - 1) % folds
        for (i = 1; i <= NR; i++) print name[i] "\t" fold[group[i]] "\t" group[i]
    }' "$here/../restoration/split.tsv" >"$out/folds.tsv"

# link FILE...: a fresh folder OUT/set/links with these files alone, as `pack` takes them.
link() {
    rm -rf "$out/set/links"
    mkdir "$out/set/links"
    ln -s "$@" "$out/set/links/"
}

# A set for each fold: a model is fitted on four of them. The skulls of MORE in two: the head of 011 and 042 apart.
for fold in 0 1 2 3 4; do
    [ ! -f "$out/set/$fold.h5" ] || continue
    set --
    for name in $(awk -v fold="$fold" '$2 == fold { print $1 }' "$out/folds.tsv"); do
        set -- "$@" "$skulls/${name}_complete.nrrd" "$skulls/${name}_implant.nrrd"
    done
    link "$@"
    awk -v fold="$fold" '$2 == fold { print $1 "\ttrain\t" $3 }' "$out/folds.tsv" >"$out/set/$fold.tsv"
    "$calvaria" pack "$out/set/links" --out "$out/set/$fold.h5" --split-file "$out/set/$fold.tsv" \
        --spacing-mm "$spacing"
done
if [ -n "$more" ] && [ ! -f "$out/set/same_head.h5" ]; then
    more=$(realpath "$more")
    set --
    for name in $same_head; do
        set -- "$@" "$more/${name}_defective.nrrd"
    done
    link "$@"
    "$calvaria" pack "$out/set/links" --out "$out/set/same_head.h5" --split 1,0,0 --spacing-mm "$spacing"
    link "$more"/*_defective.nrrd
    for name in $same_head; do
        rm "$out/set/links/${name}_defective.nrrd"
    done
    "$calvaria" pack "$out/set/links" --out "$out/set/more.h5" --split 1,0,0 --spacing-mm "$spacing"
fi

# A model for each fold, of the other four.
for fold in 0 1 2 3 4; do
    [ ! -f "$out/shape_$fold.h5" ] || continue
    set --
    for other in 0 1 2 3 4; do
        [ "$other" = "$fold" ] || set -- "$@" "$out/set/$other.h5"
    done
    if [ -n "$more" ]; then
        set -- "$@" "$out/set/more.h5"
        awk -v fold="$fold" '$2 == fold && $3 == "head_011_042" { found = 1 } END { exit found }' "$out/folds.tsv" &&
            set -- "$@" "$out/set/same_head.h5"
    fi
    # few trials: they set the intervals, which are not used
    "$calvaria" shape "$@" --out "$out/shape_$fold.h5" --no-tune --trials 2 >"$out/shape_$fold.txt"
done

# The cases: official implants, and one synthetic defect of each other family for each skull. Each is restored by the
# model that has not seen its head.
truth() {
    if [ "$1" = official ]; then
        for fold in 0 1 2 3 4; do
            "$calvaria" unpack "$out/set/$fold.h5" --out "$out/truth/official"
        done
        return
    fi
    defects=$here/../restoration/defects/$1.yaml
    [ -f "$defects" ] || defects=$here/../../configs/defects/$1.yaml
    "$calvaria" inject "$out/truth/official"/*_complete.nrrd --defects "$defects" --out "$out/truth/$1"
}
for family in $families; do
    [ -d "$out/truth/$family" ] || truth "$family"
    for fold in 0 1 2 3 4; do
        set --
        for name in $(awk -v fold="$fold" '$2 == fold { print $1 }' "$out/folds.tsv"); do
            for file in "$out/truth/$family/$name"*_defective.nrrd; do
                [ -f "$out/predicted/$family/$(basename "$file" _defective.nrrd)_implant.nrrd" ] || set -- "$@" "$file"
            done
        done
        [ $# -eq 0 ] || "$calvaria" infer --model "$out/shape_$fold.h5" "$@" --out "$out/predicted/$family" \
            --no-mesh --no-picture --no-page >>"$out/$family.infer.txt"
        rm -f "$out/predicted/$family"/*_completed.nrrd
    done
done

{
    echo '| defects | skulls | DSC | bDSC 10 mm | HD95 mm | volume error | within 10 % | DSC < .7 |'
    echo '|---|---|---|---|---|---|---|---|'
    for family in $families; do
        "$calvaria" evaluate --truth "$out/truth/$family" --predicted "$out/predicted/$family" \
            --out "$out/metrics_$family" >"$out/$family.txt"
        awk -F, -v family="$family" '
            function mean(c) { return s[c] / n[c] }
            function sd(c) { return sqrt((q[c] - s[c] * s[c] / n[c]) / (n[c] - 1)) }
            NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { for (c in at) { v = $(at[c]); if (v ~ /^[-+0-9.e]+$/) { s[c] += v; q[c] += v * v; n[c]++ } }
              low += $(at["dsc"]) < .7; v = $(at["volume_error"]); within += v > -.1 && v < .1 }
            END { printf "| %s | %d | %.3f ± %.3f | %.3f ± %.3f | %.2f ± %.2f | %+.3f ± %.3f | %d | %d |\n", family, n["dsc"],
                  mean("dsc"), sd("dsc"), mean("bdsc_mm"), sd("bdsc_mm"), mean("hd95_mm"), sd("hd95_mm"),
                  mean("volume_error"), sd("volume_error"), within, low }' "$out/metrics_$family/metrics.csv"
    done
} >"$out/table.md"
cat "$out/table.md"
