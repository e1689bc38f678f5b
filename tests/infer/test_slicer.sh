#!/bin/sh
# test_slicer.sh CALVARIA_INFER CALVARIA CONFIGS - calvaria-infer as a module of 3D Slicer: the description keeps the rules of
# Slicer's parser, and a call as Slicer makes it writes the files of an ordinary run, with progress on stdout.
set -eu
program=$1 calvaria=$2 # and the folder of configurations
model=$3/../models/phantom.h5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "$*"; failed=1; }

# The description
"$program" --xml > "$work/module.xml"
[ "$(head -1 "$work/module.xml")" = '<?xml version="1.0" encoding="utf-8"?>' ] || fail "no XML declaration"
if command -v xmllint > /dev/null; then
    xmllint --noout "$work/module.xml" || fail "not well-formed"
    # The schema is not ours to ship: CTK's Libs/CommandLineModules/Core/Resources/ctkCmdLineModule.xsd
    [ -z "${CALVARIA_SEM_XSD:-}" ] || xmllint --noout --schema "$CALVARIA_SEM_XSD" "$work/module.xml" || fail "the schema is broken"
fi
for tag in category title description version license contributor parameters skull implant_ml; do
    grep -q "$tag" "$work/module.xml" || fail "no $tag"
done
awk '
    function value() { v = $0; gsub(/^ *<[^>]*>|<\/[^>]*>$/, "", v); return v }
    /^    <(image|geometry|file|double|integer|boolean|string)[ >]/ { name = flag = place = way = about = "" }
    /^      <name>/ { name = value(); if (seen[name]++) print "twice: " name }
    /^      <longflag>/ { flag = value(); if (flag !~ /^[A-Za-z_][A-Za-z0-9_]*$/) print "Slicer takes no flag like " flag }
    /^      <index>/ { place = value() }
    /^      <channel>/ { way = value(); if (way != "input" && way != "output") print "channel " way }
    /^      <description>/ { about = value() }
    /^    <\/(image|geometry|file|double|integer|boolean|string)>/ {
        if (name !~ /^[A-Za-z_][A-Za-z0-9_]*$/) print "name " name
        if ((flag == "") == (place == "")) print name ": a flag or an index, not both"
        if (about == "") print name ": no description"
        if (/(image|geometry|file)>/ && way == "") print name ": no channel"
        n++
    }
    END { if (n < 10) print n " parameters only" }' "$work/module.xml" > "$work/broken"
[ ! -s "$work/broken" ] || fail "$(cat "$work/broken")"

# A call with every parameter that is shown
"$calvaria" phantom --out "$work/skulls" --count 1 --seed 5 --spacing-mm 3 --quiet
"$calvaria" inject "$work"/skulls/*.nii.gz --defects "$3/defects/sphere.yaml" --out "$work/cases" --seed 3 --quiet
skull=$(ls "$work"/cases/*defective* | head -1)
"$program" --model "$model" --implant "$work/i.nii.gz" --completed "$work/c.nii.gz" --surface "$work/s.stl" --report "$work/r.html" \
    --returnparameterfile "$work/values" --clearance_mm 0.5 --min_thickness_mm 0 --threads 2 "$skull" > "$work/said" 2> "$work/err" ||
    { cat "$work/err"; fail "the call failed"; }
"$program" --model "$model" --out "$work/out" --clearance-mm 0.5 --no-picture --quiet "$skull" > /dev/null 2>&1
name=$(basename "$skull" _defective.nii.gz)
cmp "$work/i.nii.gz" "$work/out/${name}_implant.nii.gz" || fail "another implant than an ordinary run's"
cmp "$work/c.nii.gz" "$work/out/${name}_completed.nii.gz" || fail "another completed skull"
cmp "$work/s.stl" "$work/out/${name}_implant.stl" || fail "another surface"
grep -q '<h2>Implant</h2>' "$work/r.html" || fail "no report"
grep -qE '^implant_ml = [1-9][0-9]*\.[0-9]+$' "$work/values" || fail "no value: $(cat "$work/values")"
grep -q '<filter-start>' "$work/said" && grep -q '<filter-end>' "$work/said" || fail "no <filter-start> or <filter-end>"
sed -n 's|^<filter-progress>\(.*\)</filter-progress>$|\1|p' "$work/said" > "$work/progress"
[ "$(wc -l < "$work/progress")" -ge 3 ] && sort -c -g "$work/progress" || fail "progress does not rise: $(cat "$work/progress")"
! grep -vE '^</?filter-' "$work/said" || fail "something else on stdout"

# What is wrong is said on stderr, with the exit code of any run
code=0
"$program" --implant "$work/x.nrrd" --clearence_mm 1 "$skull" > /dev/null 2> "$work/err" || code=$?
[ $code -eq 2 ] && grep -q "did you mean '--clearance-mm'" "$work/err" || fail "a wrong flag: $code, $(cat "$work/err")"
code=0
"$program" --implant "$work/x.nrrd" "$work/absent.nrrd" > /dev/null 2> "$work/err" || code=$?
[ $code -eq 1 ] && grep -q absent.nrrd "$work/err" || fail "an absent file: $code, $(cat "$work/err")"
exit $failed
