#!/bin/bash
# The server as a client meets it: every route, what is refused and how, results as `calvaria infer` makes them, the queue, deletion, a
# restart in the middle. usage: test_server.sh CALVARIA
calvaria=$1
. "$(dirname "$0")/lib.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)

# Small skulls with a defect, in both formats.
ok "$calvaria" phantom --out "$work/skulls" --count 1 --seed 5 --spacing-mm 4
printf 'defects: [ { type: region, class: parietotemporal } ]\n' >"$work/defects.yaml"
ok "$calvaria" inject "$work/skulls/phantom_000.nii.gz" --defects "$work/defects.yaml" --out "$work/in" --count 1 --seed 2
skull=$work/in/phantom_000_d00_defective.nii.gz
set=(--set 'postprocess=[{keep_largest: 1}]') # a 4 mm skull is too thin for the mirror's own opening
printf 'not a volume at all, only a text' >"$work/text.nii.gz"
{ printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nspace: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n'
  printf 'space origin: (0,0,0)\nencoding: raw\n\n\0\1\2\3\4\5\6\7'; } >"$work/grey.nrrd"
{ printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 100000 100000 100000\nspace: left-posterior-superior\n'
  printf 'space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: gzip\n\n'; gzip </dev/null; } >"$work/bomb.nrrd"
{ printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 250 250 250\nspace: left-posterior-superior\n'
  printf 'space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: gzip\n\n'; head -c 15625000 /dev/zero | gzip; } >"$work/large.nrrd"
{ printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nspace: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n'
  printf 'space origin: (0,0,0)\nencoding: raw\ndata file: ../job.json\n\n'; } >"$work/detached.nrrd"

# --- starting
expect 1 'absent.h5' "$calvaria" serve --model "$work/absent.h5" --port 0 --state "$state"
expect 2 'token' "$calvaria" serve --model builtin:mirror --address 0.0.0.0 --port 0 --state "$state"
expect 2 "did you mean 'threshold'" "$calvaria" serve --model builtin:mirror --set treshold=1 --port 0 --state "$state"
expect 2 '--max-upload' "$calvaria" serve --model builtin:mirror --max-upload lots --port 0 --state "$state"
printf 'short\n' >"$work/token"
expect 2 'guessed' "$calvaria" serve --model builtin:mirror --token-file "$work/token" --port 0 --state "$state"
serve --model builtin:mirror "${set[@]}" --max-upload 4M --queue 3 --web "$work/page_absent" 2>/dev/null
holds 'a page that is not there ends the server' test -z "$port"
wait "$pid"
mkdir -p "$work/page/assets"
echo '<p>page</p>' >"$work/page/index.html"
echo 'let a' >"$work/page/assets/a.js"
gzip -k "$work/page/assets/a.js"
echo secret >"$work/page/.secret"
ln -s /etc/passwd "$work/page/passwd"
serve --model builtin:mirror "${set[@]}" --max-upload 4M --max-voxels-million 8 --queue 3 --no-picture --web "$work/page"
holds 'the server is up' test -n "$port"
expect 1 'another server' "$calvaria" serve --model builtin:mirror --port 0 --state "$state"
holds 'other users cannot look into --state' test "$(stat -c %a "$state")" = 700

# --- the short routes, and what is none
answers 200 'ok' /healthz
answers 200 'Content-Length: 3' /healthz --head
answers 200 'calvaria_jobs_queued 0' /metrics
answers 200 '"task":"completion"' /api/info
answers 200 "frame-ancestors 'none'" /api/info
answers 200 'nosniff' /
answers 200 '<p>page</p>' /
answers 200 '<p>page</p>' /index.html
answers 200 'let a' /assets/a.js
answers 200 'text/javascript' /assets/a.js
answers 200 'Content-Encoding: gzip' /assets/a.js --compressed
answers 304 'ETag' /index.html -H "If-None-Match: $(curl -sI "$at/" | sed -n 's/^ETag: //p' | tr -d '\r')"
for path in /.secret /passwd /assets /assets/ /assets/../.secret /../lock /..%2f..%2fetc%2fpasswd /%2e%2e/lock //etc/passwd /api /api/jobs/ \
    /api/jobs/../../lock '/api/jobs/%00' /healthz%00 /index.html/ /assets/a.js.gz; do
    answers 404 'no such page' "$path"
done
answers 405 'Allow: GET, HEAD' /healthz -X POST -d ''
answers 405 'Allow: POST' /api/jobs
answers 405 'Allow: POST, DELETE' /api/session
answers 405 'Allow' /api/info -X OPTIONS
answers 405 'Allow' / -X POST -d ''
none=0123456789abcdef0123456789abcdef
for path in "/api/jobs/$none" "/api/jobs/$none/events" "/api/jobs/$none/implant" "/api/jobs/$none/report.html"; do
    answers 404 'no such job' "$path"
done
answers 404 'no such job' "/api/jobs/$none" -X DELETE
answers 404 'no such job' "/api/jobs/$none/cancel" -X POST -d ''
answers 404 'no such page' "/api/jobs/$none/job.json"
answers 204 '' /api/session -X POST -d ''
answers 204 '' /api/session -X DELETE

# --- from elsewhere
answers 403 'Host' /api/info -H 'Host: evil.example'
answers 403 'Host' /api/info -H 'Host: 127.0.0.1.evil.example'
answers 403 'Origin' /api/info -H 'Origin: http://evil.example'
answers 403 'Origin' /api/info -H 'Origin: null'
answers 403 'Sec-Fetch-Site' /api/example -X POST -d '' -H 'Sec-Fetch-Site: cross-site'
answers 403 'Sec-Fetch-Site' "/api/jobs/$none" -H 'Sec-Fetch-Site: same-site'
answers 200 'version' /api/info -H "Origin: $at" -H 'Sec-Fetch-Site: same-origin'
answers 403 'Origin' /api/jobs -F "file=@$skull" -H 'Origin: http://evil.example'
holds 'no CORS header' test "$(grep -ci access-control "$work/head")" -eq 0

# --- uploads that are none
answers 415 'multipart' /api/jobs --data-binary "@$skull" -H 'Content-Type: application/octet-stream'
answers 415 'multipart' /api/jobs -d 'file=x'
answers 411 'Content-Length' /api/jobs -F "file=@$skull" -H 'Transfer-Encoding: chunked'
head -c 5000000 /dev/zero >"$work/large"
answers 413 'larger' /api/jobs -F "file=@$work/large"
answers 400 'missing' /api/jobs -F 'name=x'
touch "$work/empty"
answers 400 'empty' /api/jobs -F "file=@$work/empty"
answers 400 'neither NIfTI nor NRRD' /api/jobs -F "file=@$work/text.nii.gz"
answers 400 'unknown field' /api/jobs -F "file=@$skull" -F 'path=/etc/passwd'
answers 400 'threshold' /api/jobs -F "file=@$skull" -F 'threshold=2'
answers 400 'threshold' /api/jobs -F "file=@$skull" -F 'threshold=nan'
answers 400 'threshold_hu' /api/jobs -F "file=@$skull" -F 'threshold_hu=150x'
answers 400 'segment' /api/jobs -F "file=@$skull" -F 'segment=yes'
answers 400 'twice' /api/jobs -F "file=@$skull" -F "file=@$skull"
answers 400 'missing' /api/jobs -H 'Content-Type: multipart/form-data; boundary=xyz' --data-binary 'no boundary in here'
answers 400 'end' /api/jobs -H 'Content-Type: multipart/form-data; boundary=xyz' \
    --data-binary $'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nNRRD0004'
tries=0 # a folder goes once the response is sent
while [ -n "$(ls "$state/jobs")" ] && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
for id in $(ls "$state/jobs"); do verdict 1 "a refused upload left $id"; done

# An upload that is cut off leaves nothing.
{ printf 'POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=xyz\r\nContent-Length: 900000\r\n\r\n--xyz\r\n'
  printf 'Content-Disposition: form-data; name="file"; filename="a.nrrd"\r\n\r\nNRRD0004 and then'; } >"$work/cut"
exec 3<>"/dev/tcp/127.0.0.1/$port" && cat "$work/cut" >&3 && sleep 0.3
holds 'an upload on its way has a folder' test -n "$(ls "$state/jobs")"
exec 3>&-
tries=0
while [ -n "$(ls "$state/jobs")" ] && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
holds 'an upload that was cut off leaves nothing' test -z "$(ls "$state/jobs")"
holds 'its place in the queue is free again' test "$(metric uploads_running)" = 0

# --- a job, and what it gives, beside calvaria infer
ok "$calvaria" infer --model builtin:mirror "${set[@]}" "$skull" --out "$work/infer" --no-picture --quiet
ok "$calvaria" infer --model builtin:mirror "${set[@]}" "$skull" --out "$work/infer" --no-picture --format nrrd --overwrite --quiet
holds 'there is an implant to compare' test "$(stat -c %s "$work/infer/phantom_000_d00_implant.stl")" -gt 5000
answers 201 'Location: /api/jobs/' /api/jobs -F "file=@$skull;filename=../../Patient 7_defective.nii.gz"
id=$(field id)
holds 'the id is 128 bits' test ${#id} -eq 32
answers 200 'event: job' "/api/jobs/$id/events" -N
holds 'the events end with the job' grep -q '"state":"done"' "$work/body"
holds 'they told of a stage' grep -q '"stage":"restoring"' "$work/body"
answers 200 '"state":"done"' "/api/jobs/$id"
holds 'named as the file was' grep -q '"name":"Patient 7_defective.nii.gz","state"' "$work/body"
holds 'recognised as a mask' grep -q '"segment":false' "$work/body"
holds 'it has numbers' grep -q '"summary":{"volume_ml":[0-9]' "$work/body"
for url in $(grep -o '"url":"[^"]*"' "$work/body" | cut -d'"' -f4); do
    bytes=$(curl -s "$at$url" | wc -c)
    said=$(grep -o "\"url\":\"$url\",[^}]*" "$work/body" | sed 's/.*"bytes":\([0-9]*\).*/\1/')
    holds "$url has the bytes it says ($bytes, $said)" test "$bytes" = "$said"
done
holds 'twelve files or more' test "$(grep -o '"url"' "$work/body" | wc -l)" -ge 12
name=phantom_000_d00
same() { # URL FILE
    curl -s "$at/api/jobs/$id/$1" | cmp -s - "$2"
    verdict $? "$1 differs from $2"
}
same input "$skull"
same 'implant?format=nii.gz' "$work/infer/${name}_implant.nii.gz"
same 'implant?format=nrrd' "$work/infer/${name}_implant.nrrd"
same implant "$work/infer/${name}_implant.nii.gz"
same 'completed?format=nii.gz' "$work/infer/${name}_completed.nii.gz"
same 'completed?format=nrrd' "$work/infer/${name}_completed.nrrd"
same implant.stl "$work/infer/${name}_implant.stl"
answers 200 'filename="Patient_7_defective_implant.stl"' "/api/jobs/$id/implant.stl"
answers 200 'filename="Patient_7_defective.nii.gz"' "/api/jobs/$id/input"
answers 200 'SPACE=RAS' "/api/jobs/$id/skull.ply"
answers 404 'not there' "/api/jobs/$id/preview.png" # --no-picture
answers 200 'volume_ml' "/api/jobs/$id/report.json"
holds 'the report names the upload' grep -q '"file":.*"Patient 7_defective.nii.gz"' "$work/body"
answers 200 "created\":	\"$(date -u +%Y-)" "/api/jobs/$id/report.json"

# --- parts of files, and what the client has already
tag=$(curl -sI "$at/api/jobs/$id/implant.stl" | sed -n 's/^ETag: //p' | tr -d '\r')
answers 304 'ETag' "/api/jobs/$id/implant.stl" -H "If-None-Match: \"other\", W/$tag"
answers 200 'Accept-Ranges: bytes' "/api/jobs/$id/implant.stl" -H 'If-None-Match: "other"'
answers 206 'Content-Range: bytes 80-83/' "/api/jobs/$id/implant.stl" -H 'Range: bytes=80-83'
holds 'four bytes of it' cmp -s "$work/body" <(tail -c +81 "$work/infer/${name}_implant.stl" | head -c 4)
answers 206 'Content-Length: 5' "/api/jobs/$id/implant.stl" -H 'Range: bytes=-5' -H "If-Range: $tag"
answers 200 'Content-Length' "/api/jobs/$id/implant.stl" -H 'Range: bytes=-5' -H 'If-Range: "other"'
answers 416 'Content-Range: bytes */' "/api/jobs/$id/implant.stl" -H 'Range: bytes=99999999-'
answers 400 'format' "/api/jobs/$id/implant?format=dcm"
answers 400 'one format' "/api/jobs/$id/implant.stl?format=ply"
answers 409 'ended' "/api/jobs/$id/cancel" -X POST -d ''
done_id=$id

# --- files that only their reader can judge
fails_with() { # FILE TEXT CURL...
    local file=$1 text=$2
    shift 2
    answers 201 '"state":"' /api/jobs -F "file=@$file" "$@"
    id=$(field id)
    holds "$file fails" wait_for "$id" failed
    holds "$file fails with '$text'" grep -qF -- "$text" "$work/body"
    holds "$file: no path of ours in the error" test "$(grep -c 'in/upload\|work/\|/state/' "$work/body")" -eq 0
    answers 404 'not there' "/api/jobs/$id/implant"
    answers 204 '' "/api/jobs/$id" -X DELETE
}
fails_with "$work/grey.nrrd" 'Hounsfield'
fails_with "$work/grey.nrrd" 'segment=true' -F segment=false
fails_with "$work/bomb.nrrd" 'the file'
fails_with "$work/large.nrrd" '8 million'
fails_with "$work/detached.nrrd" 'the file'
fails_with "$work/grey.nrrd" 'the file' -F segment=true -F threshold_hu=200
head -c 1500 "$skull" >"$work/truncated.nii.gz"
fails_with "$work/truncated.nii.gz" 'truncated'

# --- the queue: one job is held, then it fills
answers 201 '"state":"' /api/jobs -F "file=@$skull" -F name=first
first=$(field id)
tries=0
while [ -z "$(children)" ] && [ $tries -lt 200 ]; do sleep 0.02; tries=$((tries + 1)); done
kill -STOP $(children)
holds 'one runs' test "$(state_of "$first")" = running
for place in 1 2 3; do
    answers 201 "\"queue_place\":$place" /api/jobs -F "file=@$skull" -F "name=number $place"
    eval "waiting$place=$(field id)"
done
answers 503 'Retry-After' /api/jobs -F "file=@$skull"
answers 503 'Retry-After' /api/example -X POST -d ''
answers 200 '"state":"cancelled"' "/api/jobs/$waiting1/cancel" -X POST -d ''
answers 200 '"queue_place":1' "/api/jobs/$waiting2"
answers 204 '' "/api/jobs/$waiting2" -X DELETE
answers 404 'no such job' "/api/jobs/$waiting2"
absent "$state/jobs/$waiting2"

# --- the server dies in the middle, its child with it; what waited goes on, what was done stays
held=$(children)
kill -9 "$pid"
wait "$pid" 2>/dev/null
sleep 0.2
holds 'the child went with it' test ! -e "/proc/$held" -o "$(sed -n 's/^State:.\(.\).*/\1/p' "/proc/$held/status" 2>/dev/null)" = Z
mkdir "$state/jobs/$none" "$state/jobs/${none%f}0"
echo '{"state": "do' >"$state/jobs/${none%f}0/job.json"
serve --model builtin:mirror "${set[@]}" --max-upload 4M --max-voxels-million 8 --queue 3 --no-picture --web "$work/page"
absent "$state/jobs/$none"
holds 'a record that is none stays, and is told' grep -q 'no record of a job' "$work/server.log"
holds 'with all that lies beside it' test -s "$state/jobs/${none%f}0/job.json"
rm -r "$state/jobs/${none%f}0"
answers 200 '"state":"done"' "/api/jobs/$done_id"
id=$done_id
same implant.stl "$work/infer/${name}_implant.stl"
answers 200 '"state":"cancelled"' "/api/jobs/$waiting1"
holds 'the one that ran is done' wait_for "$first" done
holds 'the one that waited is done' wait_for "$waiting3" done

# --- a running job is deleted; SIGTERM puts a running one back
answers 201 '"state":"' /api/example -X POST -d ''
example=$(field id)
tries=0
while [ -z "$(children)" ] && [ $tries -lt 200 ]; do sleep 0.02; tries=$((tries + 1)); done
kill -STOP $(children)
curl -sN --max-time 20 "$at/api/jobs/$example/events" >"$work/events" &
watcher=$!
sleep 0.3
answers 204 '' "/api/jobs/$example" -X DELETE
wait "$watcher"
holds 'who watched it was told' grep -q 'event: gone' "$work/events"
tries=0
while [ -e "$state/jobs/$example" ] && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
absent "$state/jobs/$example"
answers 201 '"state":"' /api/jobs -F "file=@$skull" -F name=last
last=$(field id)
tries=0
while [ -z "$(children)" ] && [ $tries -lt 200 ]; do sleep 0.02; tries=$((tries + 1)); done
kill -STOP $(children)
holds 'no answer but the documented ones' test "$(metric answers_undocumented_total)" = 0
kill "$pid"
sleep 0.3
answers 200 draining /healthz
answers 503 'stopping' /api/jobs -F "file=@$skull"
kill "$pid" # once more: at once
wait "$pid"
holds 'SIGTERM is a clean end' test $? -eq 0
pid=
holds 'the running job was put back' grep -q '"queued"' "$state/jobs/$last/job.json"

# --- a token
printf 'f1e2d3c4b5a697887766554433221100\n' >"$work/token"
chmod 600 "$work/token"
token="Authorization: Bearer f1e2d3c4b5a697887766554433221100"
serve --model builtin:mirror "${set[@]}" --address 0.0.0.0 --token-file "$work/token" --keep-hours 0.001 --no-picture
answers 200 ok /healthz
for path in /api/info /metrics "/api/jobs/$last" "/api/jobs/$last/events" "/api/jobs/$last/implant"; do
    answers 401 'WWW-Authenticate' "$path"
    answers 401 'token' "$path" -H "$token"0
    answers 401 'token' "$path" -H 'Cookie: calvaria=0123456789abcdef0123456789abcdef'
    answers 401 'token' "$path?token=f1e2d3c4b5a697887766554433221100"
done
answers 401 'token' /api/jobs -F "file=@$skull"
answers 401 'token' /api/example -X POST -d ''
answers 401 'token' "/api/jobs/$last" -X DELETE
answers 401 'token' "/api/jobs/$last/cancel" -X POST -d ''
answers 401 'token' /api/session -X POST -d ''
answers 401 'token' /api/session -X DELETE
answers 200 '"token":true' /api/info -H "$token"
answers 200 '"token":true' /api/info -H "$token" -H 'Host: skulls.example:80'
answers 204 'HttpOnly; SameSite=Strict' /api/session -X POST -d '' -H "$token"
cookie=$(sed -n 's/^Set-Cookie: \([^;]*\).*/\1/p' "$work/head")
answers 200 '"token":true' /api/info -H "Cookie: other=1; $cookie"
answers 403 'Origin' /api/info -H "Cookie: $cookie" -H 'Origin: http://evil.example'
answers 204 'Max-Age=0' /api/session -X DELETE -H "Cookie: $cookie"
holds 'the session is the owner'"'"'s alone' test "$(stat -c %a "$state/session")" = 600

# --- kept for 3.6 s, then gone
tries=0
while [ -n "$(ls "$state/jobs")" ] && [ $tries -lt 3000 ]; do sleep 0.1; tries=$((tries + 1)); done
holds 'results go when their time is over' test -z "$(ls "$state/jobs")"
stop
holds 'a clean end' test "$ended" -eq 0

# --- a model given by a relative path, pages of another origin, and a CT that is recognised
mkdir -p "$work/runs/first"
cp "$root/models/phantom.h5" "$work/runs/first/best.h5"
cd "$work" || exit 1
serve --model runs/first --no-picture --allow-origin https://viewer.example
cd "$root" || exit 1
answers 200 'Access-Control-Allow-Origin: https://viewer.example' /api/info -H 'Origin: https://viewer.example' -H 'Sec-Fetch-Site: cross-site'
answers 204 'Access-Control-Allow-Headers: Authorization' /api/jobs -X OPTIONS -H 'Origin: https://viewer.example'
answers 403 'Origin' /api/info -H 'Origin: https://evil.example'
holds 'no CORS header for others' test "$(grep -ci access-control "$work/head")" -eq 0
answers 405 'Allow' /api/info -X OPTIONS -H 'Origin: https://evil.example'
answers 201 '"state":"' /api/jobs -F "file=@$skull"
id=$(field id)
holds 'a relative model restores' wait_for "$id" done
perl -e '
    print "NRRD0004\ntype: short\ndimension: 3\nsizes: 44 44 44\nspace: left-posterior-superior\nspace directions: (4.5,0,0) (0,4.5,0) (0,0,4.5)\n",
        "space origin: (0,0,0)\nendian: little\nencoding: raw\n\n";
    for $z (0..43) { for $y (0..43) { for $x (0..43) {
        $r = sqrt(($x - 22) ** 2 + ($y - 22) ** 2 + ($z - 20) ** 2);
        print pack("s<", $r > 19 ? -1000 : $r > 17 && !($x > 30 && $z > 24) ? 800 : 40);
    } } }' >"$work/head_ct.nrrd"
answers 201 '"segment":null' /api/jobs -F "file=@$work/head_ct.nrrd"
id=$(field id)
holds 'a CT restores' wait_for "$id" done
holds 'it was recognised' grep -q '"segment":true' "$work/body"
holds 'the page learns what was segmented' grep -q '"warnings":\[.*The skull was segmented from a CT' "$work/body"
if command -v dcm2niix > /dev/null && command -v unzip > /dev/null; then
    answers 201 '"segment":null' /api/jobs -F 'file=@tests/data/golden/dicom/plain.zip'
    id=$(field id)
    holds 'a zip of DICOM restores' wait_for "$id" done
    holds 'it was segmented' grep -q '"segment":true' "$work/body"
    holds 'its name and its slices are gone' test -z "$(grep -rl 'NOBODY' "$state" "$work/server.log")"
else
    echo 'skipped: dcm2niix or unzip is not installed'
    skipped=$((skipped + 1))
fi
stop
holds 'a clean end once more' test "$ended" -eq 0
silent
finish
