#!/bin/bash
# The table of `calvaria evaluate`: mean, median, p95 and worst of each metric as its direction has it, and the failures. usage: test_evaluate.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1

# column COLUMN of row ROW of the table
cell() {
    awk -v row="$1" -v column="$2" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } $1 == row { print $at[column] }' "$work/table"
}
"$calvaria" phantom --out "$work/skulls" --count 3 --seed 5 --spacing-mm 4 --quiet
"$calvaria" inject "$work/skulls"/*.nii.gz --defects configs/defects/blobs.yaml --out "$work/truth" --quiet
"$calvaria" inject "$work/skulls"/*.nii.gz --defects configs/defects/blobs.yaml --out "$work/other" --seed 2 --quiet
mkdir "$work/predicted" # the first is right, the second another defect's, the third was never handed in
cp "$work/truth/phantom_000_d00_implant.nii.gz" "$work/other/phantom_001_d00_implant.nii.gz" "$work/predicted"
"$calvaria" evaluate --truth "$work/truth" --predicted "$work/predicted" > "$work/table" 2> /dev/null
other=$(cell phantom_001_d00 dsc)
holds 'the first is right' test "$(cell phantom_000_d00 dsc)" = 1.0000
holds 'the median DSC' test "$(cell median dsc)" = "$other"
holds 'the worst DSC' test "$(cell worst dsc)" = 0.0000
holds 'p95 of three is the worst' test "$(cell p95 dsc)" = 0.0000
holds 'the worst HD95 is the largest' test "$(cell worst hd95_mm)" = "$(cell phantom_001_d00 hd95_mm)"
holds 'the worst volume error is the farthest from zero' test "$(cell worst volume_error)" = -1.0000
holds 'three cases' test "$(cell n dsc)" = 3
expected=$(awk -v dsc="$other" 'BEGIN { print dsc < 0.7 ? 2 : 1 }')
holds 'failures' test "$(grep '^failures' "$work/table")" = "failures (DSC below 0.7): $expected of 3"

# Paired differences: against itself all are 0; against nothing handed in, all cases are better
"$calvaria" evaluate --truth "$work/truth" --predicted "$work/predicted" --against "$work/predicted" > "$work/same" 2> /dev/null
holds 'no difference with itself' test "$(awk '$1 == "dsc" && NF >= 6 { print $2, $3, $6 }' "$work/same" | tail -1)" = '3 +0.0000 1'
"$calvaria" evaluate --truth "$work/truth" --predicted "$work/truth" --against "$work/predicted" --json 2> /dev/null | tr -d ' \t\n' > "$work/json"
holds 'the differences as JSON' grep -q '"differences":\[{"metric":"dsc","pairs":3,"mean":0.[0-9]*,"low":0,"high":1,"p":0.[0-9]*}' "$work/json"
expect 1 'no such folder' "$calvaria" evaluate --truth "$work/truth" --predicted "$work/truth" --against "$work/nowhere"
finish
