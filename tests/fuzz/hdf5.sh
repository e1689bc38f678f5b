#!/bin/bash
# Fuzzes a reader of HDF5 files, then reads what crashed it as a command does: the process that reads a file first
# (base/hdf5_probe.h) refuses what crashes the library. What still crashes is a finding. Exit code 1: there is one.
#   hdf5.sh FUZZER SECONDS NEW CORPUS      new inputs go to NEW, crashes to NEW.crashes
set -u
shopt -s nullglob
fuzzer=$1 seconds=$2 new=$3 corpus=$4 crashes=$3.crashes
mkdir -p "$new" "$crashes"
"$fuzzer" -fork=1 -ignore_crashes=1 -ignore_ooms=1 -ignore_timeouts=1 -timeout=5 -detect_leaks=0 \
    -max_total_time="$seconds" -artifact_prefix="$crashes/" "$new" "$corpus"

# Of those that ran on without end, which the first reading stops after 10 s of the processor, three.
slow=("$crashes"/timeout-*)
files=("$crashes"/crash-* "$crashes"/oom-* "${slow[@]:0:3}")
[ ${#files[@]} -eq 0 ] || "$fuzzer" -timeout=200 "${files[@]}"
