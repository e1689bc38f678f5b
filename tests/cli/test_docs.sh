#!/bin/bash
# Every command in a fenced `sh` block of README, docs/*.md and models/README.md, run in order on small data: each file in a folder of its own,
# where the names that it uses exist. Those that cannot be run stand in the table below with the reason, which is printed; an entry that
# matches nothing fails. usage: test_docs.sh CALVARIA [FILE...]
. "$(dirname "$0")/lib.sh"
calvaria=$(realpath "$1")
shift
top=$PWD
real=${CALVARIA_DATA:-../shared/data}/skullfix/002_defective.nrrd
[ ! -f "$real" ] || real=$(realpath "$real")

# what the command begins with | why it is not run
cannot='scripts/demo|minutes, and it installs packages (the workflow runs it)
scripts/test|runs this test
scripts/install|installs packages
scripts/wheel|builds a wheel: test_wheel
pip|installs the wheel
scripts/onnx_bundle|needs onnx: its own test
python bundle|the bundle of the line before
calvaria-infer|the module of 3D Slicer, on a real skull: test_program
experiments/shape/free.sh|needs the free heads
cp packaging|changes the machine
systemctl|needs systemd
podman|needs podman
openssl|needs podman
calvaria train lab.yaml --folds|five trainings: test_folds
scripts/measure_skulls.py|needs h5py and minutes
ctest|runs tests
mpirun|several processes: test_replicas
sbatch|needs Slurm
curl|needs the running server: test_server runs the same requests
calvaria serve|a server does not end: test_server
calvaria train RECIPE.yaml --watch|needs a display
calvaria ablate|trains a grid of recipes: test_ablate
calvaria import-keras published.h5|the authors'"'"' file is not passed on: test_exchange
calvaria infer --model model.h5|the model of the line before
calvaria pack SKULLFIX_TEST|needs the heads of SkullFix
calvaria pack SKULLFIX|needs the heads of SkullFix
calvaria pack lab|layouts of other folders: test_layout
calvaria shape set74.h5|needs the heads of SkullFix
calvaria export CASCADE|a trained cascade: test_shape
stl2dcm|DCMTK, on files of a real study
python docs/restore_onnx.py|needs onnxruntime, scipy and pynrrd: scripts/check_onnx.py'
used=' '

# A command with what makes it take seconds
small() {
    local command=$1
    case $command in
    'calvaria phantom'*) command=$(sed 's/--count [0-9]*/--count 4/; s/--spacing-mm [0-9.]*/--spacing-mm 3/' <<< "$command") ;;
    'calvaria export MODEL --onnx model.onnx --patch-vox'*) command=${command/128,128,128/64,64,64} ;;
    esac
    printf '%s%s' "$command" "$(more "$command")"
}
more() {
    case $1 in
    'calvaria train --resume'*) ;;
    'calvaria train'*) echo ' --set train.steps=1 --set train.validate_cases=0 --set train.best=loss --set data.workers=1 --threads 2' ;;
    'calvaria shape'*) echo ' --no-tune --threads 2' ;;
    *scan.zip*--out\ restored) echo ' --model builtin:mirror' ;; # the scan is a ball, which a shape model refuses
    'calvaria infer'*) echo ' --threads 2' ;;
    esac
}

# ---- small data: phantoms with a hole, a CT, sets ----
mkdir "$work/bin" "$work/data"
ln -s "$calvaria" "$work/bin/calvaria"
PATH=$work/bin:$PATH
cd "$work/data" || exit 1
ok calvaria phantom --out skulls --count 8 --seed 4 --spacing-mm 3 --quiet
ok calvaria inject skulls --defects craniotomy --out truth --quiet
ok calvaria pack skulls --out set.h5 --split 0.5,0.25,0.25 --quiet
mkdir cts restored
# a ball of soft tissue in a shell of bone, in HU
awk 'BEGIN { n = 48; mm = 4; printf "NRRD0004\ntype: short\ndimension: 3\nsizes: %d %d %d\nspace: left-posterior-superior\nspace directions: (%g,0,0) (0,%g,0) (0,0,%g)\nspace origin: (0,0,0)\nencoding: ascii\n\n", n, n, n, mm, mm, mm
    for (z = 0; z < n; z++) for (y = 0; y < n; y++) for (x = 0; x < n; x++) {
        r = mm * sqrt((x - 23.5) ^ 2 + (y - 23.5) ^ 2 + (z - 23.5) ^ 2)
        print r < 68 ? 35 : r < 76 ? 900 : r < 82 ? 40 : -1000 } }' > cts/head_ct.nrrd
defective=$(ls truth/*_000_*_defective.nii.gz)
# The shape model of real heads refuses phantoms, which are too round
if [ -f "$real" ]; then
    ok calvaria resample "$real" --spacing-mm 2 --out real_defective.nrrd --quiet
fi
ok calvaria resample "$defective" --out patient_defective.nrrd --quiet
ok calvaria resample cts/head_ct.nrrd --out head_ct.nii.gz --quiet

# The names that the files use
stage() { # file
    mkdir "$work/run"
    cd "$work/run" || exit 1
    for folder in configs docs experiments models scripts; do ln -s "$top/$folder" $folder; done
    cp -r "$work/data/cts" "$work/data/patient_defective.nrrd" .
    cp "$work/data/head_ct.nii.gz" .
    case $1 in
    README.md)
        cp -r "$work/data/truth" .
        cp -r "$work/data/skulls" healthy
        ;;
    docs/phantom.md) ;;
    *)
        cp "$work/data/set.h5" .
        cp set.h5 my.h5
        cp set.h5 mine.h5
        cp "$work/data/patient_defective.nrrd" skull.nrrd
        cp "$work/data/patient_defective.nrrd" 002_defective.nrrd
        cp "$work/data/skulls/phantom_000.nii.gz" skull.nii.gz
        cp "$top/tests/data/golden/dicom/two.zip" scan.zip
        ln -s "$top/models/skullfix.h5" MODEL
        mkdir runs
        [ "$1" != docs/deployment.md ] || ln -s "$top/models/skullfix.h5" runs/first
        printf 'extends: [configs/recipes/demo_completion.yaml]\ndata: { set: set.h5 }\n' > lab.yaml
        ;;
    esac
}

# One README step makes skulls of CTs; one head is too few for a set, so phantoms join it.
before() {
    case $1 in
    'calvaria check skulls'*) cp healthy/* skulls/ 2> /dev/null ;;
    'calvaria evaluate --truth truth --predicted restored') cp restored/patient_implant.nrrd "restored/$(basename "$defective" | sed 's/_defective.nii.gz//')_implant.nrrd" ;;
    'calvaria infer --model runs/coarse'* | 'calvaria infer --model runs/lab skull'*) rm -rf restored ;;
    esac
}

run() { # file, line, command
    local file=$1 line=$2 command=$3 entry begin why
    while IFS='|' read -r begin why; do
        case $command in
        "$begin"*)
            printf 'not run: %s:%s: %s: %s\n' "$file" "$line" "$begin" "$why"
            case $used in *"|$begin|"*) ;; *) used="$used|$begin|" ;; esac
            return
            ;;
        esac
    done <<< "$cannot"
    case $command in
    "calvaria infer patient_defective"* | *.h5\ patient_defective*)
        if [ ! -f "$real" ]; then
            printf 'not run: %s:%s: no real skull here (CALVARIA_DATA)\n' "$file" "$line"
            skipped=$((skipped + 1))
            return
        fi
        command=${command/patient_defective/$work/data/real_defective}
        ;;
    *scan.zip*) if ! command -v dcm2niix > /dev/null || ! command -v unzip > /dev/null; then
        printf 'not run: %s:%s: dcm2niix or unzip is not installed\n' "$file" "$line"
        skipped=$((skipped + 1))
        return
    fi ;;
    esac
    before "$command"
    local got=0
    bash -c "$(small "$command")" > "$work/stdout" 2> "$work/stderr" < /dev/null || got=$?
    verdict $got "$file:$line: $command (exit $got)"
    [ $got -eq 0 ] || tail -4 "$work/stderr" | sed 's/^/    /'
}

cd "$top" || exit 1
files="README.md docs/*.md models/README.md"
for file in ${*:-$files}; do
    cd "$top" || exit 1
    # lines of ```sh blocks: number, tab, command without its comment
    awk '/^```sh/ { on = 1; next } /^```/ { on = 0 } on && NF { sub(/ +# .*$/, ""); if (NF) print FNR "\t" $0 }' "$file" > "$work/commands"
    [ -s "$work/commands" ] || continue
    stage "$file"
    while IFS=$'\t' read -r line command <&3; do run "$file" "$line" "$command"; done 3< "$work/commands"
    cd "$top" || exit 1
    rm -rf "$work/run"
done
[ $# -gt 0 ] || while IFS='|' read -r begin why; do
    holds "the table's entry '$begin' is used" grep -qF "|$begin|" <<< "$used"
done <<< "$cannot"
finish
