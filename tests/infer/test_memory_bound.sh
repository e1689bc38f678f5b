#!/bin/sh
# The bound that calvaria-infer prints before work holds: the process never had more memory than that.
program=$1
calvaria=$2
configs=$3
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
"$calvaria" phantom --out "$folder/skulls" --count 1 --seed 3 --dims 100,120,90 --spacing-mm 2 --quiet >/dev/null || exit 1
"$calvaria" inject "$folder"/skulls/*.nii.gz --defects "$configs/defects/sphere.yaml" --out "$folder/cut" --count 1 --seed 2 --quiet >/dev/null || exit 1
failed=0
for limit in 10G 150M; do
    said=$("$program" --threads 2 --model builtin:mirror --max-memory $limit --out "$folder/$limit" "$folder"/cut/*_defective.nii.gz 2>&1) || {
        echo "with $limit: $said"
        exit 1
    }
    bound=$(printf '%s' "$said" | sed -n 's/.*at most \([0-9]*\) MB of memory.*/\1/p')
    report=$(echo "$folder/$limit"/*_report.json)
    peak=$(sed -n 's/.*"peak_memory_bytes":[^0-9]*\([0-9]*\).*/\1/p' "$report")
    echo "limit $limit: bound $bound MB, peak $((peak / 1000000)) MB"
    if [ -z "$bound" ] || [ -z "$peak" ] || [ "$peak" -gt $((bound * 1000000)) ]; then
        echo "the bound does not hold, or says nothing: $said"
        failed=1
    fi
done
cmp "$folder/10G/"*_implant.nii.gz "$folder/150M/"*_implant.nii.gz || failed=1
exit $failed
