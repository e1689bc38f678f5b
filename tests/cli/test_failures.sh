#!/bin/bash
# One bad case does not end a command of many: the others are done, the bad one is named, the exit code is 1. Files that are there already are
# replaced with --overwrite alone. usage: test_failures.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1
blobs=configs/defects/blobs.yaml

ok "$calvaria" phantom --out "$work/skulls" --count 3 --seed 5 --spacing-mm 4
ok "$calvaria" inject "$work/skulls" --defects $blobs --out "$work/truth" --preview "$work/pairs.png" # a folder
holds 'a pair for each skull of the folder' test "$(ls "$work/truth" | wc -l)" = 6
cp -r "$work/truth" "$work/predicted"
head -c 300 "$work/truth/phantom_001_d00_implant.nii.gz" > "$work/predicted/phantom_001_d00_implant.nii.gz"

# evaluate: the table has every case, and says which was not measured
expect 1 '1 of 3 cases could not be measured' "$calvaria" evaluate --truth "$work/truth" --predicted "$work/predicted" --out "$work/measured"
cp "$work/stdout" "$work/table"
holds 'the good cases are measured' test "$(awk '$1 ~ /_00[02]_/ && $2 == "1.0000"' "$work/table" | wc -l)" = 2
holds 'the bad one has no numbers' grep -q '^ *phantom_001_d00 *- *- .*not measured' "$work/table"
holds 'the summary is of two' test "$(awk '$1 == "n" { print $2 }' "$work/table")" = 2
holds 'it counts as a failure' grep -q '^failures (DSC below 0.7): 1 of 3' "$work/table"
holds 'and is named with its reason' grep -q 'not measured: phantom_001_d00: .*phantom_001_d00_implant' "$work/table"
holds 'the CSV has its row' grep -q '^phantom_001_d00,nan,' "$work/measured/metrics.csv"
expect 1 '1 of 6 cases' "$calvaria" evaluate --truth "$work/truth" --predicted "$work/truth" --against "$work/predicted"
expect 2 'metrics.csv: exists already' "$calvaria" evaluate --truth "$work/truth" --predicted "$work/truth" --out "$work/measured"
ok "$calvaria" evaluate --truth "$work/truth" --predicted "$work/truth" --out "$work/measured" --overwrite

# view: a row for each case
expect 1 '1 of 3 cases could not be shown' "$calvaria" view "$work/predicted" --truth "$work/truth" --out "$work/view.png"
holds 'the picture is there' test -s "$work/view.png"
expect 2 'view.png: exists already' "$calvaria" view "$work/truth" --out "$work/view.png"
ok "$calvaria" view "$work/truth" --out "$work/view.png" --overwrite
expect 1 'no NAME_implant' "$calvaria" view "$work/skulls"

# infer, inject, segment, features, check
cp "$work/truth/phantom_000_d00_defective.nii.gz" "$work/a_defective.nii.gz"
head -c 300 "$work/a_defective.nii.gz" > "$work/b_defective.nii.gz"
expect 1 '1 of 2 cases failed' "$calvaria" infer --model builtin:mirror "$work/b_defective.nii.gz" "$work/a_defective.nii.gz" --out "$work/restored"
holds 'a row for the failed case' grep -q '^ *b *failed' "$work/stdout"
holds 'the other is restored' test -s "$work/restored/a_implant.stl"
cp "$work/skulls/phantom_000.nii.gz" "$work/good.nii.gz"
head -c 300 "$work/good.nii.gz" > "$work/bad.nii.gz"
expect 1 '1 of 2 skulls got no defect' "$calvaria" inject "$work/bad.nii.gz" "$work/good.nii.gz" --defects $blobs --out "$work/pairs"
holds 'the other has its pair' test -s "$work/pairs/good_d00_implant.nii.gz"
expect 1 '2 of 2 CTs gave no skull' "$calvaria" segment "$work/bad.nii.gz" "$work/good.nii.gz" --out "$work/segmented"
expect 1 '1 of 2 skulls could not be studied' "$calvaria" features --model models/phantom.h5 "$work/b_defective.nii.gz" "$work/a_defective.nii.gz" --truth "$work/truth" --out "$work/features"
holds 'the table of the other' test -s "$work/features/features.tsv"
mkdir "$work/mixed"
cp "$work/good.nii.gz" "$work/bad.nii.gz" "$work/mixed"
expect 1 '1 of 2 cases are bad' "$calvaria" check "$work/mixed" --preview "$work/check.png"
holds 'the contact sheet of both' test -s "$work/check.png"

# Nothing that exists is lost
for again in "phantom --out $work/skulls --count 1" "inject $work/good.nii.gz --defects $blobs --out $work/pairs" \
    "inject $work/good.nii.gz --defects $blobs --out $work/more --preview $work/pairs.png" \
    "check $work/mixed --preview $work/check.png" "infer --model builtin:mirror $work/a_defective.nii.gz --out $work/restored" \
    "features --model models/phantom.h5 $work/a_defective.nii.gz --out $work/features"; do
    expect 2 'exists already' "$calvaria" $again
done
for made in "pack $work/skulls --out $work/made.h5" "unpack $work/made.h5 --out $work/unpacked" "export models/phantom.h5 --onnx $work/made.onnx" \
    "export models/phantom.h5 --model $work/made_model.h5" "resample $work/good.nii.gz --spacing-mm 8 --out $work/made.nii.gz"; do
    ok "$calvaria" $made
    expect 2 'exists already' "$calvaria" $made
    ok "$calvaria" $made --overwrite
done
for command in phantom segment resample inject pack unpack check shape infer view evaluate features export import-keras; do
    holds "$command has --overwrite" grep -q -- '--overwrite' <("$calvaria" $command --help)
done
finish
