/* inputs.c - see inputs.h. Test: tests/cli/test_failures.sh */
#include "cli/inputs.h"

#include <string.h>

#include "base/file.h"
#include "data/volume/dicom.h"
#include "data/volume/formats.h"

enum status inputs_list(struct config_strings *ret, int n_inputs, char *const *inputs, struct arena *arena,
                        struct error *error)
{
    int64_t n = 0, room = 0;
    const char **paths = NULL;

    for (int i = 0; i < n_inputs; i++) {
        struct config_strings files = {.n = 1};
        const char *one[1] = {inputs[i]};
        bool slices = false;
        if (file_is_folder(inputs[i]) && dicom_is(&slices, inputs[i], error))
            return error->status;
        const bool folder = file_is_folder(inputs[i]) && !slices;
        files.items = one;
        if (folder) {
            enum status status = file_list(&files, inputs[i], arena, error);
            if (status)
                return status;
        }

        /* The list grows by what this argument may add */
        const char **grown = arena_alloc(arena, (size_t)(room = n + files.n), sizeof *grown);
        if (!grown)
            return error_memory(error, (size_t)room * sizeof *grown, "the list of inputs");
        if (n)
            memcpy(grown, paths, (size_t)n * sizeof *paths);
        paths = grown;

        /* A folder may hold other files; a file that was named is read whatever its ending */
        for (int64_t f = 0; f < files.n; f++)
            if (!folder || volume_format_of(files.items[f]) >= 0) {
                paths[n] = folder ? file_join(arena, inputs[i], files.items[f]) : files.items[f];
                if (!paths[n++])
                    return error_memory(error, 4096, "a path");
            }
    }

    if (n == 0)
        return error_set(error, STATUS_FAILED,
                         "%s: neither volumes (.nii.gz, .nii, .nrrd, .nhdr) nor DICOM files in this folder", inputs[0]);
    *ret = (struct config_strings){.n = n, .items = paths};
    return STATUS_OK;
}
