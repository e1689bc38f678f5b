#!/usr/bin/env python3
"""compare.py IN OUT: are the grids of OUT/NAME_{implant,completed} those of IN/NAME_defective, number for number? Needs pynrrd, nibabel."""
import glob, json, os, sys
import numpy as np, nrrd, nibabel

NIFTI = "dim pixdim qform_code sform_code quatern_b quatern_c quatern_d qoffset_x qoffset_y qoffset_z srow_x srow_y srow_z".split()


def place(path):
    if path.endswith(".nrrd"):
        header = nrrd.read_header(path)
        return {k: np.array(header[k]).tolist() for k in ("sizes", "space", "space directions", "space origin", "encoding", "dimension")}
    header = nibabel.load(path).header
    return {"sizeof_hdr": int(header["sizeof_hdr"]), **{k: header[k].tobytes() for k in NIFTI}}


wrong = 0
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*_defective.*"))):
    name, ending = os.path.basename(path).split("_defective")
    report_path = os.path.join(sys.argv[2], f"{name}_report.json")
    if not os.path.exists(report_path):
        continue
    expected = place(path)
    for what in ("implant", "completed"):
        found = place(os.path.join(sys.argv[2], f"{name}_{what}{ending}"))
        differ = [k for k in expected if expected[k] != found[k]]
        wrong += bool(differ)
        if differ:
            print(f"{name} {what}: differs in", *(f"{k}: {expected[k]} / {found[k]}" for k in differ))
    report = json.load(open(report_path))
    print(f"{name:9s} {str(report['input']['dims_vox']):16s} {report['implant']['volume_ml']:6.1f} ml  peak {report['peak_memory_bytes'] / 1e6:4.0f} MB of "
          f"{report['memory_bound_bytes'] / 1e6:4.0f}  {report['times_s']['total']:5.1f} s  tiles {report['scan']['tiles']}, skipped {report['scan']['tiles_skipped']}")
    for warning in report["warnings"]:
        if "Licence" not in warning:
            print("         !", warning)
print("grids differ" if wrong else "every output lies on its input's grid, number for number")
sys.exit(wrong > 0)
