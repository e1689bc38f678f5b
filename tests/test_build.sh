#!/bin/sh
# test_build.sh - a fresh build folder outside the source tree.
#   test_build.sh            generated code is made by one job, with nothing else built before it (quick)
#   test_build.sh --whole    everything is built with one job and with two, by GCC and by Clang where they are installed;
#                            the program, built elsewhere, finds its default model (nightly)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fresh() { # fresh COMPILER JOBS TARGET...
    compiler=$1 jobs=$2
    shift 2
    echo "building with $compiler, $jobs job(s): ${*:-everything}"
    rm -rf "$work/build" "$work/skulls" "$work/out"
    cmake -S "$root" -B "$work/build" -G 'Unix Makefiles' -Wno-dev -D CMAKE_C_COMPILER="$compiler" -D CALVARIA_WEB=OFF \
        > "$work/log" 2>&1 || { tail -20 "$work/log"; exit 1; }
    if [ $# -gt 0 ]; then set -- --target "$@"; fi
    cmake --build "$work/build" --parallel "$jobs" "$@" > "$work/log" 2>&1 || { grep -E 'error|Error' -A3 "$work/log"; exit 1; }
}

if [ "${1:-}" != --whole ]; then
    fresh "${CC:-cc}" 1 calvaria_onnx_code
    [ -f "$work/build/generated/onnx.pb-c.h" ] || { echo "no generated/onnx.pb-c.h"; exit 1; }
    exit 0
fi

built=0
for compiler in gcc clang clang-14 clang-16; do
    command -v "$compiler" > /dev/null || continue
    [ "$built" -lt 2 ] || break # one Clang is enough
    for jobs in 1 2; do fresh "$compiler" "$jobs"; done
    # Without --model: the default one, found from any folder.
    (cd / && "$work/build/calvaria" phantom --out "$work/skulls" --count 1 --seed 1 --spacing-mm 4 --quiet &&
        "$work/build/calvaria" infer "$work"/skulls/*.nii.gz --out "$work/out" --quiet > /dev/null)
    built=$((built + 1))
done
[ "$built" -eq 2 ] || { echo "skipped: only $built of GCC and Clang is installed"; exit 77; }
