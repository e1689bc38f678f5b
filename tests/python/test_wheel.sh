#!/bin/sh
# test_wheel.sh BUILD SOURCE - the wheel is built, installed in a clean virtual environment, and gives the program's bits.
set -eu
build=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
skip() { echo "skipped: $*"; exit 77; }
grep '^CALVARIA_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt" | grep -qv '=OFF$' && skip "Python is not built with the sanitizers"
command -v python3 > /dev/null || skip "no python3"
python3 -m venv "$work/venv" > "$work/log" 2>&1 || skip "python3 has no venv (apt-get install python3-venv)"
"$work/venv/bin/pip" install --disable-pip-version-check --timeout 15 --retries 1 numpy > "$work/log" 2>&1 ||
    skip "numpy cannot be installed: no package index is reachable"

"$source/scripts/wheel" --build "$build" --out "$work/dist"
"$work/venv/bin/pip" install --disable-pip-version-check --no-index "$work"/dist/*.whl > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
case $(ls "$work/dist") in
*-py3-none-manylinux_*.whl) ;;
*) echo "not a manylinux wheel: $(ls "$work/dist")"; exit 1 ;;
esac
"$work/venv/bin/python" -m zipfile -l "$work"/dist/*.whl > "$work/files"
for file in calvaria/py.typed calvaria/libcalvaria.so.1 calvaria/models/ licences/calvaria; do
    grep -q "$file" "$work/files" || { echo "the wheel has no $file"; exit 1; }
done
! grep -E 'lib(ssl|crypto|curl|krb5)[-.]' "$work/files" | grep -v ' [0-9]\{1,5\}$' || { echo "the wheel bundles what it does not use"; exit 1; }
"$build/calvaria" phantom --out "$work/skulls" --count 1 --seed 5 --spacing-mm 2.5 --quiet
"$build/calvaria" inject "$work"/skulls/*.nii.gz --defects "$source/configs/defects/sphere.yaml" --out "$work/cases" --seed 3 --quiet
cd "$work" && OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive "$work/venv/bin/python" -W error "$source/tests/python/test_wheel.py" "$build/calvaria-infer" \
    "$work"/cases/*_defective.nii.gz
