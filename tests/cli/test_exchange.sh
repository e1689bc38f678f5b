#!/bin/bash
# Models in from Keras and out as ONNX, as a user does it. usage: test_exchange.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1
keras=tests/infer/keras

ok "$calvaria" import-keras $keras/k2_ae_nested.h5 --out "$work/model.h5" --restore 'postprocess=[]'
ok "$calvaria" info "$work/model.h5"
ok "$calvaria" infer --model "$work/model.h5" $keras/skull.nrrd --out "$work/restored"
holds 'the imported model restores' test -s "$work/restored/skull_implant.nrrd"
ok "$calvaria" export "$work/model.h5" --onnx "$work/model.onnx"
holds 'the ONNX file says how it restores' grep -qa 'calvaria.restore.threshold' "$work/model.onnx"
ok "$calvaria" import-keras $keras/k3_ae.weights.h5 --out "$work/alone.h5" --network $keras/mia_ae.yaml --licence MIT

expect 2 '--onnx' "$calvaria" export "$work/model.h5"
expect 2 'has no coarse stage' "$calvaria" export "$work/model.h5" --onnx "$work/no.onnx" --stage coarse
ok "$calvaria" export "$work/model.h5" --model "$work/passed_on.h5" --licence 'free as air'
expect 0 'free as air' "$calvaria" info "$work/passed_on.h5"
ok "$calvaria" export "$work/model.h5" --model "$work/other.h5" --set threshold=0.625 --set 'postprocess=[{keep_largest: 2}]'
expect 0 'threshold: 0.625' "$calvaria" info "$work/other.h5"
expect 0 'keep_largest: 2' "$calvaria" info "$work/other.h5"
expect 2 'threshold' "$calvaria" export "$work/model.h5" --model "$work/no.h5" --set threshold=high
expect 2 'treshold' "$calvaria" export "$work/model.h5" --model "$work/no.h5" --set treshold=0.5
expect 2 'needs a cascade' "$calvaria" export "$work/model.h5" --model "$work/no.h5" --shape "$work/model.h5"
expect 2 'needs --model' "$calvaria" export "$work/model.h5" --onnx "$work/no.onnx" --shape "$work/model.h5"
expect 1 'absent.h5' "$calvaria" export "$work/absent.h5" --onnx "$work/no.onnx"
expect 1 'skull.nrrd' "$calvaria" export $keras/skull.nrrd --onnx "$work/no.onnx"
expect 2 "--network" "$calvaria" import-keras $keras/k3_ae.weights.h5 --out "$work/no.h5"
expect 1 "filters: the file has 3" "$calvaria" import-keras $keras/k2_n1.h5 --out "$work/no.h5" --network $keras/mia_ae.yaml
expect 2 "threshold" "$calvaria" import-keras $keras/k2_n1.h5 --out "$work/no.h5" --restore threshold=high
expect 1 'import-keras' "$calvaria" infer --model $keras/k2_n1.h5 $keras/skull.nrrd --out "$work/no"
expect 2 'threshold' "$calvaria" features --model "$work/model.h5" $keras/skull.nrrd --out "$work/features" --set threshold=high
ok "$calvaria" features --model "$work/model.h5" $keras/skull.nrrd --out "$work/features" --set threshold=0.4
absent "$work/no.onnx" "$work/no.h5" "$work/no/skull_implant.nrrd"
finish
