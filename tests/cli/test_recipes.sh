#!/bin/bash
# Recipes, networks and defects by name: from any folder, beside the sources in any build folder, and after an install.
# usage: test_recipes.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1
top=$PWD
cd "$work" || exit 1

ok "$calvaria" recipes
for file in "$top"/configs/{recipes,networks,defects}/*.yaml; do
    holds "$(basename "$file") is listed" grep -q "^  $(basename "$file" .yaml) " "$work/stdout"
done
ok "$calvaria" phantom --out skulls --count 4 --seed 3 --spacing-mm 3
ok "$calvaria" inject skulls --defects blobs --out truth
ok "$calvaria" inject skulls --defects configs/defects/blobs.yaml --out other
holds 'the same defects' cmp truth/phantom_000_d00_implant.nii.gz other/phantom_000_d00_implant.nii.gz
ok "$calvaria" pack skulls --out set.h5 --split 0.5,0.5,0
ok "$calvaria" train demo_implant --set data.set=set.h5 --set train.steps=1 --set train.validate_cases=0 --set train.best=loss --run run
ok "$calvaria" info unet3d
expect 2 "did you mean 'demo_implant'" "$calvaria" train demo_implnt
expect 2 "calvaria recipes lists them" "$calvaria" inject skulls --defects zzzzzzzzzzzz --out none
expect 2 'mine/none.yaml' "$calvaria" train mine/none.yaml

# as installed: PREFIX/bin/calvaria, PREFIX/share/calvaria/configs
mkdir -p prefix/bin prefix/share/calvaria
cp "$calvaria" prefix/bin
cp -r "$top/configs" prefix/share/calvaria
ok prefix/bin/calvaria recipes
holds 'from the install' grep -q "prefix/bin/../share/calvaria/configs/recipes" "$work/stdout"
ok prefix/bin/calvaria info configs/recipes/demo_completion.yaml

# as built by a preset: SOURCES/build/NAME/calvaria
mkdir -p sources/build/asan
cp "$calvaria" sources/build/asan
cp -r "$top/configs" sources
ok sources/build/asan/calvaria recipes
holds 'from the sources' grep -q "sources/build/asan/../../configs/recipes" "$work/stdout"
finish
