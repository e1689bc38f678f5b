#!/bin/sh
# calvaria-infer's manners: exit codes, the message that helps, nothing written after a refusal.
program=$1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0

# expect CODE TEXT ARGUMENT...: the program exits with CODE and says TEXT
expect() {
    code=$1 text=$2
    shift 2
    said=$("$program" "$@" 2>&1)
    got=$?
    if [ "$got" -ne "$code" ] || ! printf '%s' "$said" | grep -qF -- "$text"; then
        echo "calvaria-infer $*: exit $got, expected $code and \"$text\"; it said: $said"
        failed=1
    fi
}

expect 0 "--mesh-space lps|ras" --help
expect 0 "oneDNN" --version
expect 2 "did you mean '--model'" --modle builtin:mirror --out "$folder/out" a.nrrd
expect 2 "--out: is missing" --model builtin:mirror a.nrrd
expect 2 "--mesh-space" --model builtin:mirror --out "$folder/out" --mesh-space lsp a.nrrd
expect 2 "no input" --model builtin:mirror --out "$folder/out"
expect 2 "did you mean 'threshold'" --model builtin:mirror --out "$folder/out" --set treshold=1 a.nrrd
expect 1 "absent.nrrd" --model builtin:mirror --out "$folder/out" "$folder/absent.nrrd"
expect 1 "absent.h5" --model "$folder/absent.h5" --out "$folder/out" a.nrrd
if [ -n "$(ls -A "$folder/out" 2>/dev/null)" ]; then
    echo "something was written: $(ls "$folder/out")"
    failed=1
fi
exit $failed
