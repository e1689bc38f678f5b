#!/bin/sh
# run.sh CALVARIA MODEL COMPLETE IMPLANT OUT [PYTHON]: one real skull as hospitals may send it, restored, and compared with its truth.
set -e
here=$(dirname "$0") calvaria=$1 model=$2 out=$5 python=${6:-python3}
[ -d "$out/in" ] || "$python" "$here/make.py" "$3" "$4" "$out"
"$calvaria" infer --model "$model" "$out"/in/* --out "$out/out" --overwrite
"$python" "$here/compare.py" "$out/in" "$out/out"
"$calvaria" evaluate --truth "$out/truth" --predicted "$out/out"
