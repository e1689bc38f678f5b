#!/bin/bash
# A job that is done, once more: other settings, an edit by hand, another model; what fails leaves the results as they
# were. Results are those of `calvaria infer` with the same options. usage: test_revise.sh CALVARIA
calvaria=$1
. "$(dirname "$0")/lib.sh"

ok "$calvaria" phantom --out "$work/skulls" --count 1 --seed 5 --spacing-mm 3
printf 'defects: [ { type: region, class: parietotemporal } ]\n' >"$work/defects.yaml"
ok "$calvaria" inject "$work/skulls/phantom_000.nii.gz" --defects "$work/defects.yaml" --out "$work/in" --count 1 --seed 2
name=phantom_000_d00
skull=$work/in/${name}_defective.nii.gz
set=(--set 'postprocess=[{keep_largest: 1}]')
infer() { # FOLDER OPTION...
    local out=$1
    shift
    ok "$calvaria" infer --model builtin:mirror "${set[@]}" "$skull" --out "$work/$out" --no-picture --quiet "$@"
}
infer plain
infer gap --clearance-mm 1.5 --bevel-deg 15 --min-thickness-mm 4 --insertable
holds 'the settings matter' test "$(cmp -s "$work/plain/${name}_implant.stl" "$work/gap/${name}_implant.stl"; echo $?)" = 1
labels() { # FILE PERL: the implant with its ones replaced
    gzip -dc "$work/plain/${name}_implant.nii.gz" | perl -0777 -pe "\$n = length; $2" | gzip >"$1"
}
labels "$work/erase.nii.gz" 'substr($_, 352) =~ tr/\1/\2/'
labels "$work/half.nii.gz" '$x = substr($_, 352); $m = 0; $x =~ s/\x01/$m++ % 2 ? "\2" : "\1"/ge; substr($_, 352) = $x'
labels "$work/wrong.nii.gz" 'substr($_, 352) =~ tr/\1/\11/'

serve --model builtin:mirror --model builtin:nothing "${set[@]}" --queue 3 --no-picture
answers 200 '"models":[{"id":"mirror"' /api/info
holds 'two models' grep -q '{"id":"nothing"' "$work/body"
same() { # URL FILE
    curl -s "$at/api/jobs/$id/$1" | cmp -s - "$2"
    verdict $? "$1 differs from $2"
}

# --- settings
answers 400 'not on this server' /api/jobs -F "file=@$skull" -F model=other
answers 400 'clearance_mm' /api/jobs -F "file=@$skull" -F clearance_mm=-1
answers 201 '"model":"mirror"' /api/jobs -F "file=@$skull"
id=$(field id)
holds 'done' wait_for "$id" done
holds 'no settings yet' grep -q '"settings":{"clearance_mm":0,"bevel_deg":0,"min_thickness_mm":0,"insertable":false,"edited":false},"revising":false' "$work/body"
same implant.stl "$work/plain/${name}_implant.stl"
answers 202 '"revising":true' "/api/jobs/$id/revise" -F clearance_mm=1.5 -F bevel_deg=15 -F min_thickness_mm=4 -F insertable=true
holds 'the former files stay meanwhile' grep -q 'implant.stl' "$work/body"
holds 'done once more' wait_for "$id" done
holds 'with its settings' grep -q '"clearance_mm":1.5,"bevel_deg":15,"min_thickness_mm":4,"insertable":true,"edited":false},"revising":false,"revision":1' "$work/body"
same implant.stl "$work/gap/${name}_implant.stl"
same 'implant?format=nii.gz' "$work/gap/${name}_implant.nii.gz"
same 'completed?format=nii.gz' "$work/gap/${name}_completed.nii.gz"
holds 'its folder is tidy' test "$(ls "$state/jobs/$id" | tr '\n' ' ')" = 'in job.json log.txt out work '
for url in $(grep -o '"url":"[^"]*"' "$work/body" | cut -d'"' -f4); do
    holds "$url is there" test "$(curl -s -o /dev/null -w '%{http_code}' "$at$url")" = 200
done
answers 202 '"revising":true' "/api/jobs/$id/revise" -F clearance_mm=0 -F bevel_deg=0 -F min_thickness_mm=0 -F insertable=false
holds 'back again' wait_for "$id" done
same implant.stl "$work/plain/${name}_implant.stl"

# --- an edit
answers 404 'not there' "/api/jobs/$id/edit"
answers 202 '"revising":true' "/api/jobs/$id/revise" -F "edit=@$work/half.nii.gz"
holds 'edited' wait_for "$id" done
holds 'it says so' grep -q '"edited":true' "$work/body"
holds 'in plain words' grep -q 'edited by hand' "$work/body"
answers 200 '"removed_ml"' "/api/jobs/$id/report.json"
answers 200 'edited by hand' "/api/jobs/$id/report.html"
same edit "$work/half.nii.gz"
answers 202 '' "/api/jobs/$id/revise" -F clearance_mm=0.5
holds 'an edit stays with other settings' wait_for "$id" done
holds 'still edited' grep -q '"clearance_mm":0.5,.*"edited":true' "$work/body"
answers 202 '' "/api/jobs/$id/revise" -F "edit=@$work/erase.nii.gz"
holds 'all erased' wait_for "$id" done
answers 404 'not there' "/api/jobs/$id/implant.stl"
answers 202 '' "/api/jobs/$id/revise" -F drop_edit=true -F clearance_mm=0
holds 'the edit is dropped' wait_for "$id" done
holds 'no longer edited' grep -q '"edited":false' "$work/body"
same implant.stl "$work/plain/${name}_implant.stl"
answers 404 'not there' "/api/jobs/$id/edit"

# --- what is refused, and what fails
none=0123456789abcdef0123456789abcdef
answers 404 'no such job' "/api/jobs/$none/revise" -F clearance_mm=1
answers 405 'Allow: POST' "/api/jobs/$id/revise"
answers 415 'multipart' "/api/jobs/$id/revise" -X POST -d clearance_mm=1
answers 400 'clearance_mm' "/api/jobs/$id/revise" -F clearance_mm=21
answers 400 'clearance_mm' "/api/jobs/$id/revise" -F clearance_mm=nan
answers 400 'insertable' "/api/jobs/$id/revise" -F insertable=perhaps
answers 400 'drop_edit' "/api/jobs/$id/revise" -F drop_edit=1
answers 400 'unknown field' "/api/jobs/$id/revise" -F folder=/tmp
printf 'no labels' >"$work/text.nii.gz"
answers 400 'edit' "/api/jobs/$id/revise" -F "edit=@$work/text.nii.gz"
answers 202 '' "/api/jobs/$id/revise" -F "edit=@$work/wrong.nii.gz" -F clearance_mm=2
holds 'a wrong edit ends' wait_for "$id" done
holds 'the error is told, without a path of ours' grep -q '"error":"the file: a label 9' "$work/body"
holds 'the settings are those of the results' grep -q '"clearance_mm":0,.*"edited":false' "$work/body"
same implant.stl "$work/plain/${name}_implant.stl"
holds 'refused edits leave nothing' test "$(ls "$state/jobs/$id/in" | grep -vc '^upload$\|^edit.new$')" = 0
mkdir -p "$state/jobs/$id/in/edit/obstacle"
answers 202 '' "/api/jobs/$id/revise" -F "edit=@$work/half.nii.gz"
holds 'an edit that cannot be stored ends' wait_for "$id" done
holds 'and says so' grep -q '"error":"the edit: cannot be put in place' "$work/body"
same implant.stl "$work/plain/${name}_implant.stl"
rm -r "$state/jobs/$id/in/edit"

# --- killed in the middle, cancelled while it waits
hold() { # stops the child that comes next
    local tries=0
    while [ -z "$(children)" ] && [ $tries -lt 200 ]; do sleep 0.02; tries=$((tries + 1)); done
    kill -STOP $(children)
}
answers 202 '' "/api/jobs/$id/revise" -F clearance_mm=1.5 -F bevel_deg=15 -F min_thickness_mm=4 -F insertable=true
hold
answers 409 'running' "/api/jobs/$id/revise" -F clearance_mm=1
answers 200 'SPACE=LPS' "/api/jobs/$id/implant.stl"
kill -9 "$pid"
wait "$pid" 2>/dev/null
serve --model builtin:mirror --model builtin:nothing "${set[@]}" --queue 3 --no-picture
holds 'it is made after a restart' wait_for "$id" done
same implant.stl "$work/gap/${name}_implant.stl"
answers 202 '' "/api/jobs/$id/revise" -F clearance_mm=0
hold
mv "$state/jobs/$id/out" "$state/jobs/$id/out.old" # between the two renamings that put the new results in place
answers 200 '' "/api/jobs/$id/cancel" -X POST -d ''
holds 'a revision that was cancelled' wait_for "$id" done
holds 'changed nothing' grep -q '"clearance_mm":1.5' "$work/body"
same implant.stl "$work/gap/${name}_implant.stl"
rm "$state/jobs/$id/work/restoration"
answers 409 'not kept' "/api/jobs/$id/revise" -F clearance_mm=1

# --- another model
first=$id
answers 400 'not on this server' "/api/jobs/$id/copy?model=other" -X POST -d ''
answers 404 'no such job' "/api/jobs/$none/copy?model=nothing" -X POST -d ''
answers 201 '"model":"nothing"' "/api/jobs/$id/copy?model=nothing" -X POST -d ''
id=$(field id)
holds 'a job of its own' test "$id" != "$first"
holds 'it is done' wait_for "$id" done
holds 'by the other model' grep -q '"model":"nothing".*"components":0' "$work/body"
holds 'with the settings of the first' grep -q '"clearance_mm":1.5' "$work/body"
same input "$skull"
answers 204 '' "/api/jobs/$first" -X DELETE
same input "$skull"
holds 'no answer but the documented ones' test "$(metric answers_undocumented_total)" = 0
stop
holds 'a clean end' test "$ended" -eq 0
expect 2 "has the name 'mirror'" "$calvaria" serve --model builtin:mirror --model builtin:mirror --port 0 --state "$state"
silent
finish
