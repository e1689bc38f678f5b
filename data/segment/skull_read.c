/* skull_read.c - a skull from a file or a DICOM folder; see skull_file.h. Test: tests/data/test_segment.c. */
#include "data/segment/skull_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"

enum status skull_input_open(struct skull_input *ret, const char *path, const char *series, struct error *error)
{
    const struct dicom_series *chosen;
    *ret = (struct skull_input){.path = path};
    if (dicom_is(&ret->is_dicom, path, error))
        return error->status;
    if (!ret->is_dicom)
        return STATUS_OK;
    progress_stage("converting");
    if (dicom_open(&ret->dicom, path, error) || dicom_choose(&chosen, &ret->dicom, series, error)) {
        skull_input_close(ret);
        return error->status;
    }
    log_info("%s: series %" PRId64 " '%s', %" PRId64 " slices of %.3g mm%s%s", path, chosen->number,
             chosen->description, chosen->grid.dim[2], grid_spacing_mm(&chosen->grid, 2), *chosen->note ? ", " : "",
             chosen->note);
    ret->path = chosen->path;
    return STATUS_OK;
}

void skull_input_close(struct skull_input *input)
{
    if (input->is_dicom)
        dicom_done(&input->dicom);
    *input = (struct skull_input){0};
}

/* One mask of a file: the chosen label, or a .seg.nrrd's only segment. */
static enum status skull_read_mask(struct volume *ret, struct skull_report *report, const char *path,
                                   const struct skull_options *options, struct error *error)
{
    memset(report, 0, sizeof *report);
    if (volume_read_mask_by(ret, path, &options->mask, error))
        return error->status;
    if (skull_check(ret, report, error) || skull_strict(&report->warnings, options->strict, path, error)) {
        volume_done(ret);
        return error->status;
    }
    return STATUS_OK;
}

enum status skull_read(struct volume *ret, struct skull_report *report, const char *path,
                       const struct skull_options *options, struct error *error)
{
    struct volume volume;
    if (options->mask.label || options->mask.threshold != 0)
        return skull_read_mask(ret, report, path, options, error);
    if (volume_read(&volume, path, error))
        return error->status;
    if (volume.storage.n_segments > 0) { /* its only segment, or an error that lists them */
        volume_done(&volume);
        return skull_read_mask(ret, report, path, options, error);
    }
    return skull_from_volume(ret, report, &volume, path, options, error);
}
