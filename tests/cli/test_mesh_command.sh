#!/bin/bash
# `calvaria mesh`: masks and fields to surfaces, fewer triangles, pieces, and what it refuses.
# usage: test_mesh_command.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1

triangles() { # of a binary STL
    od -An -tu4 -j80 -N4 "$1" | tr -d ' '
}

ok "$calvaria" phantom --out "$work/skulls" --count 1 --seed 3 --spacing-mm 4
skull=$work/skulls/phantom_000.nii.gz
ok "$calvaria" mesh "$skull" --out "$work/skull.stl"
ok "$calvaria" mesh "$skull" --out "$work/skull.ply"
ok "$calvaria" mesh "$skull" --out "$work/skull.3mf"
all=$(triangles "$work/skull.stl")
verdict $(($(wc -c <"$work/skull.stl") != 84 + 50 * all)) 'the size of the STL'

# fewer triangles: as many as asked for; within a tolerance; and what a tolerance forbids is told
ok "$calvaria" mesh "$skull" --out "$work/few.stl" --mesh-faces 3000
verdict $(($(triangles "$work/few.stl") > 3000)) '3000 triangles'
expect 0 'closed' "$calvaria" mesh "$skull" --out "$work/near.stl" --mesh-tolerance-mm 0.5
verdict $(($(triangles "$work/near.stl") * 2 > all)) 'half the triangles within 0.5 mm'
expect 0 'would go beyond the tolerance' "$calvaria" mesh "$skull" --out "$work/bound.stl" --mesh-faces 100 \
    --mesh-tolerance-mm 0.05
ok "$calvaria" mesh "$skull" --out "$work/again.stl" --mesh-faces 3000 --threads 1
verdict "$(cmp -s "$work/few.stl" "$work/again.stl"; echo $?)" 'the same bits on one thread'

# pieces
{ printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 8 4 4\nspace: left-posterior-superior\n'
  printf 'space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: ascii\n\n'
  for z in 0 1 2 3; do for y in 0 1 2 3; do
      case $z$y in 11 | 12 | 21 | 22) echo 0 1 1 1 0 0 1 0 ;; *) echo 0 0 0 0 0 0 0 0 ;; esac
  done; done; } >"$work/two.nrrd"
ok "$calvaria" mesh "$work/two.nrrd" --out "$work/two.stl" --pieces
both=$(($(triangles "$work/two_1.stl") + $(triangles "$work/two_2.stl")))
verdict $(($(triangles "$work/two.stl") != both)) 'both pieces'
verdict $(($(triangles "$work/two_1.stl") <= $(triangles "$work/two_2.stl"))) 'the larger piece first'

# a field: the surface lies where the values cross the level
ok "$calvaria" mesh "$skull" --field --level 0.5 --out "$work/field.stl" --no-smooth
verdict $(($(triangles "$work/field.stl") != all)) 'the same triangles from a field'
expect 1 'no surface' "$calvaria" mesh "$skull" --field --level 9 --out "$work/none.stl"
absent "$work/none.stl"

# what is refused
expect 2 'the ending chooses the format' "$calvaria" mesh "$skull" --out "$work/skull.obj"
expect 1 'missing.nrrd' "$calvaria" mesh "$work/missing.nrrd" --out "$work/x.stl"
expect 2 '--overwrite' "$calvaria" mesh "$skull" --out "$work/skull.stl"
ok "$calvaria" mesh "$skull" --out "$work/skull.stl" --overwrite
expect 2 'mesh-faces: -3 is out of range' "$calvaria" mesh "$skull" --out "$work/x.stl" --mesh-faces -3
finish
