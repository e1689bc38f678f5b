#!/bin/sh
# Skulls as hospitals may send them: tilted, cropped, thick slices, coarse voxels, noise. One model on three skulls with
# their official defects; a table of means over the skulls in OUT/table.md.
#   experiments/restoration/robust.sh SKULLS INPUTS OUT [PYTHON] -- OPTIONS
#       SKULLS: a folder with NNN_complete.nrrd and NNN_implant.nrrd (SkullFix); INPUTS: made here where it is absent;
#       PYTHON: with numpy, scipy, pynrrd and nibabel; OPTIONS: of calvaria infer, as --model models/skullfix.h5
# NAMES (002 028 041) are the skulls, VARIANTS the changes, of bench/volumes/make.py.
set -eu
skulls=$1
inputs=$2
out=$3
shift 3
python=python3
[ "$1" = -- ] || { python=$1 && shift; }
shift
here=$(dirname "$0")
calvaria=${CALVARIA:-build/calvaria}
names=${NAMES:-002 028 041}
variants=${VARIANTS:-native nod25 nod-25 roll25 turn90 upside_down vertex_cut upper_half \
    slices_2.5mm slices_5mm voxels_2mm noise}
for name in $names; do
    # shellcheck disable=SC2086 # the variants are words
    [ -d "$inputs/$name" ] || "$python" "$here/../../bench/volumes/make.py" "$skulls/${name}_complete.nrrd" \
        "$skulls/${name}_implant.nrrd" "$inputs/$name" $variants
    mkdir -p "$out/$name"
    "$calvaria" infer "$@" "$inputs/$name/in"/* --out "$out/$name" --no-mesh --no-picture --no-page --overwrite \
        >"$out/$name.infer.txt" || echo "$name: not every volume has an implant: it counts as DSC 0"
    rm -f "$out/$name"/*_completed.*
    "$calvaria" evaluate --truth "$inputs/$name/truth" --predicted "$out/$name" --out "$out/$name" --overwrite \
        >"$out/$name.evaluate.txt"
done

{
    echo '| volume | DSC | bDSC 10 mm | HD95 mm | volume error | DSC, each |'
    echo '|---|---|---|---|---|---|'
    for variant in $variants; do
        for name in $names; do
            grep -e '^case,' -e "^$variant," "$out/$name/metrics.csv"
        done | awk -F, -v variant="$variant" '
            $1 == "case" { for (i = 1; i <= NF; i++) at[$i] = i; next }
            { for (c in at) s[c] += $(at[c]); each = each sprintf(" %.3f", $(at["dsc"])); n++ }
            END { printf "| %s | %.3f | %.3f | %.2f | %+.3f |%s |\n", variant, s["dsc"] / n, s["bdsc_mm"] / n,
                  s["hd95_mm"] / n, s["volume_error"] / n, each }'
    done
} >"$out/table.md"
cat "$out/table.md"
