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
    compiler=$1 jobs=$2 build=$work/$(basename "$1")
    shift 2
    echo "building with $compiler, $jobs job(s): ${*:-everything}"
    rm -rf "$build"
    cmake -S "$root" -B "$build" -G 'Unix Makefiles' -Wno-dev -D CMAKE_C_COMPILER="$compiler" -D CALVARIA_WEB=OFF \
        > "$build.log" 2>&1 || { tail -20 "$build.log"; exit 1; }
    if [ $# -gt 0 ]; then set -- --target "$@"; fi
    cmake --build "$build" --parallel "$jobs" "$@" > "$build.log" 2>&1 || { grep -E 'error|Error' -A3 "$build.log"; exit 1; }
}

if [ "${1:-}" != --whole ]; then
    fresh "${CC:-cc}" 1 calvaria_onnx_code
    [ -f "$build/generated/onnx.pb-c.h" ] || { echo "no generated/onnx.pb-c.h"; exit 1; }
    exit 0
fi

clang=
for name in clang clang-14 clang-16; do
    [ -n "$clang" ] || ! command -v "$name" > /dev/null || clang=$name
done
command -v gcc > /dev/null && [ -n "$clang" ] || { echo "skipped: GCC and Clang are not both installed"; exit 77; }

for compiler in gcc "$clang"; do
    for jobs in 1 2; do fresh "$compiler" "$jobs"; done
    # Without --model: the default one, found from any folder.
    (cd / && "$build/calvaria" phantom --out "$build/skulls" --count 1 --seed 1 --spacing-mm 4 --quiet &&
        "$build/calvaria" infer "$build"/skulls/*.nii.gz --out "$build/out" --quiet > /dev/null)
done
