#!/bin/bash
# The front door's manners: help, unknown words, exit codes. usage: test_front_door.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1

expect 2 'usage: calvaria COMMAND' "$calvaria"
expect 0 'usage: calvaria COMMAND' "$calvaria" --help
expect 0 'calvaria' "$calvaria" --version
expect 2 "did you mean 'infer'" "$calvaria" infre
for command in phantom segment resample view inject pack unpack check recipes train ablate runs infer evaluate features export import-keras info reference serve; do
    expect 0 "usage: calvaria $command" "$calvaria" "$command" --help
    expect 0 'example:' "$calvaria" "$command" --help
    expect 2 'unknown option' "$calvaria" "$command" --frobnicate
done
expect 2 '--cuont' "$calvaria" phantom --out "$work/p" --cuont 3
expect 2 'count' "$calvaria" phantom --out "$work/p" --cuont 3
expect 2 '--count' "$calvaria" phantom --out "$work/p" --count many
expect 2 '--count' "$calvaria" phantom --out "$work/p" --count 0
expect 2 '--count' "$calvaria" phantom --out "$work/p" --count 3x
expect 2 '--spacing-mm' "$calvaria" phantom --out "$work/p" --spacing-mm nan
expect 2 'out' "$calvaria" phantom --count 1
absent "$work/p"
expect 2 'usage: calvaria inject' "$calvaria" inject --defects configs/defects/cube.yaml --out "$work/i"
expect 2 'no recipe' "$calvaria" train
expect 2 '--resume' "$calvaria" train configs/recipes/demo_completion.yaml --resume "$work/run"
finish
