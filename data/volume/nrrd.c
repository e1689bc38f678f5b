/* nrrd.c - NRRD, attached (.nrrd) and detached (.nhdr), raw, gzip, bzip2 and ASCII. The header's fields are teem's to
 * parse; the data is streamed.
 *
 * Teem is an old parser in front of hostile files and not thread-safe: it sees only the lines of fields that are used
 * here, each of a bounded length, never opens a file, and one thread at a time is inside it.
 * Test: tests/data/test_volume.c, tests/data/test_volume_hostile.c. */
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <teem/nrrd.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/volume/orient.h"
#include "data/volume/voxel_file.h"

enum { HEADER_MAX = 1 << 20, LINE_MAX_BYTES = 1024 };

static pthread_mutex_t nrrd_teem = PTHREAD_MUTEX_INITIALIZER;

/* The fields passed to teem, in the file's order: it needs the space before its vectors. The first N_REQUIRED must be
 * there: teem leaks where one is missing. */
static const char *const nrrd_fields[] = {"type",         "dimension",   "sizes",           "encoding",
                                          "spacings",     "space",       "space dimension", "space directions",
                                          "space origin", "space units", "endian",          "byte skip",
                                          "byteskip",     "line skip",   "lineskip"};
enum { N_FIELDS = sizeof nrrd_fields / sizeof nrrd_fields[0], N_REQUIRED = 4 };

struct nrrd_text {
    char *header; /* for teem */
    bool seen[N_FIELDS];
    struct segment_entry *segments; /* SEGMENTS_MAX of them, or NULL */
    int n_segments;
    char *data_file;     /* NULL: attached */
    int64_t data_offset; /* after the blank line */
};

static void nrrd_text_done(struct nrrd_text *text)
{
    memory_free(text->header);
    memory_free(text->segments);
    memory_free(text->data_file);
}

static bool nrrd_field_is(const char *line, size_t length, const char *name)
{
    return strlen(name) == length && strncasecmp(line, name, length) == 0;
}

static enum status nrrd_take_data_file(struct nrrd_text *text, const char *name, size_t length, const char *path,
                                       struct error *error)
{
    if (text->data_file)
        return error_set(error, STATUS_FAILED, "%s: data file '%.*s': named twice", path, (int)length, name);
    text->data_file = memory_printf("%.*s", (int)length, name);
    return text->data_file ? STATUS_OK : error_memory(error, length, path);
}

/* "Segment3_Name:=bone", "Segment3_LabelValue:=1", "Segment3_Layer:=0": the keys of 3D Slicer. */
static enum status nrrd_take_segment(struct nrrd_text *text, const char *line, size_t length, const char *path,
                                     struct error *error)
{
    char key[32] = "", value[64] = "", copy[128];
    int s = -1;
    snprintf(copy, sizeof copy, "%.*s", (int)(length < sizeof copy ? length : sizeof copy - 1), line);
    if (sscanf(copy, "Segment%d_%31[A-Za-z]:=%63[^\r\n]", &s, key, value) != 3 || s < 0 || s >= SEGMENTS_MAX)
        return STATUS_OK;
    if (!text->segments && !(text->segments = memory_zalloc(SEGMENTS_MAX, sizeof *text->segments)))
        return error_memory(error, SEGMENTS_MAX * sizeof *text->segments, path);

    struct segment_entry *segment = &text->segments[s];
    if (s >= text->n_segments)
        text->n_segments = s + 1;
    if (strcmp(key, "Name") == 0)
        snprintf(segment->name, sizeof segment->name, "%s", value);
    else if (strcmp(key, "LabelValue") == 0)
        segment->value = (int)strtol(value, NULL, 10);
    else if (strcmp(key, "Layer") == 0)
        segment->layer = (int)strtol(value, NULL, 10);
    return STATUS_OK;
}

/* One line of the header goes to teem, to us, or nowhere. *out is where teem's text goes on. */
static enum status nrrd_take_line(struct nrrd_text *text, char **out, const char *line, size_t length, const char *path,
                                  struct error *error)
{
    const char *colon = memchr(line, ':', length);
    if (colon && (size_t)(colon - line) + 1 < length && colon[1] == '=' && strncmp(line, "Segment", 7) == 0)
        return nrrd_take_segment(text, line, length, path, error);
    if (line[0] == '#' || !colon || (size_t)(colon - line) + 1 >= length || colon[1] == '=')
        return STATUS_OK; /* comment, key := value, or a line of something newer */
    size_t field = (size_t)(colon - line);
    const char *value = colon + 1;
    while (value < line + length && *value == ' ')
        value++;
    if (nrrd_field_is(line, field, "data file") || nrrd_field_is(line, field, "datafile"))
        return nrrd_take_data_file(text, value, (size_t)(line + length - value), path, error);
    for (int f = 0; f < N_FIELDS; f++)
        if (nrrd_field_is(line, field, nrrd_fields[f])) {
            if (length > LINE_MAX_BYTES)
                return error_set(error, STATUS_FAILED, "%s: field '%s': a line of %zu bytes (a damaged header?)", path,
                                 nrrd_fields[f], length);
            text->seen[f] = true;
            memcpy(*out, line, length);
            (*out)[length] = '\n';
            *out += length + 1;
        }
    return STATUS_OK;
}

/* Splits data, `bytes` long and NUL-ended; a header ends at an empty line, a detached one also at the end of the file.
 */
static enum status nrrd_split(struct nrrd_text *text, const char *data, size_t bytes, const char *path,
                              struct error *error)
{
    static const char magic[] = "NRRD0005\n"; /* teem warns of versions; what we pass on is in all of them */
    text->header = memory_alloc(bytes + sizeof magic + 1, 1);
    if (!text->header)
        return error_memory(error, bytes, path);

    char *out = text->header;
    const char *line = data, *end = data + bytes;
    bool first = true, blank = false;

    while (line < end && !blank) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t whole = (size_t)((newline ? newline : end) - line);
        size_t length = whole > 0 && line[whole - 1] == '\r' ? whole - 1 : whole;
        blank = length == 0;
        if (first) {
            memcpy(out, magic, sizeof magic - 1);
            out += sizeof magic - 1;
        } else if (!blank && nrrd_take_line(text, &out, line, length, path, error)) {
            return STATUS_FAILED;
        }
        first = false;
        line += whole + (newline ? 1 : 0);
    }

    *out = '\0';
    text->data_offset = line - data;
    if (!blank && !text->data_file)
        return error_set(error, STATUS_FAILED, "%s: the header does not end: no empty line in %zu bytes (truncated?)",
                         path, bytes);

    for (int f = 0; f < N_REQUIRED; f++)
        if (!text->seen[f])
            return error_set(error, STATUS_FAILED, "%s: the header has no field '%s' (damaged?)", path, nrrd_fields[f]);
    return STATUS_OK;
}

static enum status nrrd_read_text(struct nrrd_text *text, const char *path, struct error *error)
{
    struct byte_stream stream = {0};
    char *data = memory_alloc(HEADER_MAX + 1, 1);
    if (!data)
        return error_memory(error, HEADER_MAX, path);
    enum status status = byte_stream_open(&stream, path, 0, false, error);
    if (!status) {
        size_t bytes = fread(data, 1, HEADER_MAX, stream.raw);
        data[bytes] = '\0';
        status = nrrd_split(text, data, bytes, path, error);
        if (!status && memchr(data, '\0', (size_t)text->data_offset))
            status = error_set(error, STATUS_FAILED, "%s: the header holds a zero byte (damaged?)", path);
    }
    byte_stream_abandon(&stream);
    memory_free(data);
    return status;
}

static enum status nrrd_type(enum disk_type *ret, const Nrrd *nrrd, const char *path, struct error *error)
{
    static const struct {
        int code;
        enum disk_type type;
    } known[] = {{nrrdTypeChar, DISK_I8},    {nrrdTypeUChar, DISK_U8},   {nrrdTypeShort, DISK_I16},
                 {nrrdTypeUShort, DISK_U16}, {nrrdTypeInt, DISK_I32},    {nrrdTypeUInt, DISK_U32},
                 {nrrdTypeLLong, DISK_I64},  {nrrdTypeULLong, DISK_U64}, {nrrdTypeFloat, DISK_F32},
                 {nrrdTypeDouble, DISK_F64}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].code == nrrd->type) {
            *ret = known[i].type;
            return STATUS_OK;
        }
    return error_set(error, STATUS_FAILED, "%s: type is not one of integers and floats of up to 64 bits", path);
}

/* Which of the nrrd's axes are x, y, z of the file: those with a direction, or the first three. All others have one
 * entry. */
static enum status nrrd_spatial_axes(unsigned spatial[3], struct voxel_file *file, const Nrrd *nrrd,
                                     struct error *error)
{
    const char *path = file->path;
    unsigned n = 0;
    for (unsigned a = 0; a < nrrd->dim; a++) {
        bool is = nrrd->spaceDim > 0 ? isfinite(nrrd->axis[a].spaceDirection[0]) : a < 3;
        if (is && n < 3)
            spatial[n] = a;
        n += is;
        if (!is && a == 0 && file->n_segments > 0 && nrrd->axis[a].size <= SEGMENTS_MAX)
            file->n_layers = (int)nrrd->axis[a].size;
        else if (!is && nrrd->axis[a].size != 1)
            return error_set(error, STATUS_FAILED,
                             "%s: axis %u has %zu entries and no place in space, expected one 3D volume (cut one out)",
                             path, a, nrrd->axis[a].size);
    }
    if (n != 3)
        return error_set(error, STATUS_FAILED, "%s: %s: %u, expected 3", path,
                         nrrd->spaceDim > 0 ? "space directions: vectors" : "dimensions", n);
    return STATUS_OK;
}

/* Or not given. */
static bool nrrd_unit_is_mm(const char *unit)
{
    static const char *const names[] = {"", "mm", "millimeter", "millimeters", "millimetre", "millimetres"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(unit, names[i]) == 0)
            return true;
    return false;
}

/* LPS mm = turn * the file's space. */
static enum status nrrd_space(double turn[3], struct storage *storage, const Nrrd *nrrd, const char *path,
                              struct error *error)
{
    bool right = nrrd->space == nrrdSpaceRightAnteriorSuperior;
    bool anterior = right || nrrd->space == nrrdSpaceLeftAnteriorSuperior;
    turn[0] = right ? -1 : 1;
    turn[1] = anterior ? -1 : 1;
    turn[2] = 1;
    if (!anterior && nrrd->space != nrrdSpaceLeftPosteriorSuperior && nrrd->space != nrrdSpaceScannerXYZ)
        return error_set(error, STATUS_FAILED, "%s: space '%s': not an anatomical one (LPS, RAS and LAS are read)",
                         path, nrrd->space ? airEnumStr(nrrdSpace, nrrd->space) : "unnamed");
    for (int k = 0; k < 3; k++) {
        const char *unit = nrrd->spaceUnits[k] ? nrrd->spaceUnits[k] : "";
        if (!nrrd_unit_is_mm(unit))
            return error_set(error, STATUS_FAILED, "%s: space units '%.20s', expected \"mm\"", path, unit);
        snprintf(storage->space_units[k], sizeof storage->space_units[k], "%s", unit);
    }
    snprintf(storage->space, sizeof storage->space, "%s", airEnumStr(nrrdSpace, nrrd->space));
    return STATUS_OK;
}

static enum status nrrd_grid(struct voxel_file *file, const Nrrd *nrrd, struct error *error)
{
    struct storage *storage = &file->storage;
    const char *path = file->path;
    unsigned spatial[3];
    double turn[3];
    struct grid *grid = &storage->grid;

    if (nrrd_spatial_axes(spatial, file, nrrd, error))
        return STATUS_FAILED;

    for (int a = 0; a < 3; a++) {
        size_t size = nrrd->axis[spatial[a]].size;
        grid->dim[a] = size > INT64_MAX ? -1 : (int64_t)size;
    }

    /* Spacings without a space: axes as they are, the origin in a corner */
    if (nrrd->spaceDim == 0) {
        storage->doubts = 1U << DOUBT_NO_SPACE;
        for (int a = 0; a < 3; a++) {
            double spacing = nrrd->axis[spatial[a]].spacing;
            if (isnan(spacing))
                return error_set(error, STATUS_FAILED,
                                 "%s: no space directions and no spacings: its size in mm is unknown (write the scan's "
                                 "own header with it)",
                                 path);
            if (spacing <= 0)
                return error_set(error, STATUS_FAILED,
                                 "%s: spacing of axis %d: %g mm (expected a finite number above zero)", path, a,
                                 spacing);
            grid->axis[a][a] = spacing;
        }
        return STATUS_OK;
    }

    if (nrrd->spaceDim != 3)
        return error_set(error, STATUS_FAILED, "%s: space dimension %u, expected 3", path, nrrd->spaceDim);
    if (nrrd_space(turn, storage, nrrd, path, error))
        return STATUS_FAILED;

    for (int k = 0; k < 3; k++) {
        double origin = nrrd->spaceOrigin[k];
        grid->origin[k] = isnan(origin) ? 0 : turn[k] * origin + 0.0; /* NaN is teem's "not given"; no -0 */
        for (int a = 0; a < 3; a++)
            grid->axis[a][k] = turn[k] * nrrd->axis[spatial[a]].spaceDirection[k] + 0.0;
    }

    return STATUS_OK;
}

static enum status nrrd_packing(enum packing *ret, const NrrdEncoding *encoding, const char *path, struct error *error)
{
    const struct {
        const NrrdEncoding *encoding;
        enum packing packing;
    } known[] = {{nrrdEncodingRaw, PACKING_PLAIN},
                 {nrrdEncodingGzip, PACKING_GZIP},
                 {nrrdEncodingBzip2, PACKING_BZIP2},
                 {nrrdEncodingAscii, PACKING_TEXT}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (encoding == known[i].encoding) {
            *ret = known[i].packing;
            return STATUS_OK;
        }
    return error_set(error, STATUS_FAILED,
                     "%s: encoding '%s': raw, gzip, bzip2 and ascii are read (unu save -f nrrd -e gzip)", path,
                     encoding ? encoding->name : "none");
}

static enum status nrrd_fill(struct voxel_file *file, const Nrrd *nrrd, const NrrdIoState *io,
                             const struct nrrd_text *text, struct error *error)
{
    const char *path = file->path;
    if (nrrd_type(&file->type, nrrd, path, error) || nrrd_grid(file, nrrd, error))
        return STATUS_FAILED;
    if (nrrd_packing(&file->packing, io->encoding, path, error))
        return STATUS_FAILED;
    if (io->lineSkip)
        return error_set(error, STATUS_FAILED, "%s: line skip %u: not read (write it as byte skip)", path,
                         io->lineSkip);
    const long least = file->packing == PACKING_PLAIN ? -1 : 0, most = file->packing == PACKING_TEXT ? 0 : LONG_MAX;
    if (io->byteSkip < least || io->byteSkip > most)
        return error_set(error, STATUS_FAILED, "%s: byte skip %ld: not possible with encoding %s", path, io->byteSkip,
                         io->encoding->name);
    file->skip_bytes = io->byteSkip;
    if (file->packing == PACKING_TEXT)
        file->type = DISK_F64;
    else
        file->swap = io->endian != airEndianUnknown && io->endian != airMyEndian();
    file->data_offset = text->data_file ? 0 : text->data_offset;
    file->storage.format = text->data_file ? VOLUME_NHDR : VOLUME_NRRD;
    return STATUS_OK;
}

/* The text of one line of teem's explanation, without its "[nrrd] function: ". */
static const char *nrrd_line_text(const char *line)
{
    const char *colon = strstr(line, ": ");
    return colon ? colon + 2 : line;
}

/* Teem explains a line per call level: the third names the field ("trouble parsing sizes info |0 4 4|"), the last gives
 * the reason. */
static enum status nrrd_complain(const char *path, struct error *error)
{
    char *text = biffGetDone(NRRD), *rest = NULL;
    const char *field = "", *why = "not readable";
    int n = 0;
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest), n++) {
        why = nrrd_line_text(line);
        if (n == 2)
            field = why;
    }
    if (field == why)
        field = "";
    int length = (int)strcspn(field, "|");
    error_set(error, STATUS_FAILED, "%s: header: %.*s%s%.200s", path, length, field, length > 0 ? ": " : "", why);
    free(text);
    return STATUS_FAILED;
}

static enum status nrrd_parse(struct voxel_file *file, const struct nrrd_text *text, struct error *error)
{
    enum status status = STATUS_FAILED;
    pthread_mutex_lock(&nrrd_teem);
    Nrrd *nrrd = nrrdNew();
    NrrdIoState *io = nrrdIoStateNew();
    if (!nrrd || !io) {
        error_memory(error, sizeof *nrrd, file->path);
    } else {
        nrrdIoStateSet(io, nrrdIoStateSkipData, AIR_TRUE);
        status = nrrdStringRead(nrrd, text->header, io) ? nrrd_complain(file->path, error)
                                                        : nrrd_fill(file, nrrd, io, text, error);
    }
    nrrdIoStateNix(io);
    nrrdNuke(nrrd);
    pthread_mutex_unlock(&nrrd_teem);
    return status;
}

enum status nrrd_open(struct voxel_file *ret, const char *path, struct error *error)
{
    struct voxel_file file = {.path = path, .slope = 1};
    struct nrrd_text text = {0};
    enum status status = nrrd_read_text(&text, path, error);
    file.n_segments = text.n_segments;
    if (!status)
        status = nrrd_parse(&file, &text, error);
    for (int s = 0; !status && s < text.n_segments; s++)
        if (text.segments[s].layer < 0 || text.segments[s].layer >= (file.n_layers > 1 ? file.n_layers : 1))
            status =
                error_set(error, STATUS_FAILED, "%s: segment '%s' is in layer %d, and there are %d (damaged?)", path,
                          text.segments[s].name, text.segments[s].layer, file.n_layers > 1 ? file.n_layers : 1);
    if (!status && text.data_file)
        status = voxel_file_detach(&file, text.data_file, error);
    if (!status) {
        file.segments = text.segments;
        text.segments = NULL;
        *ret = file;
    }
    nrrd_text_done(&text);
    return status;
}

/* --- writing --- */

/* The header's lines up to the empty one. data_file NULL: attached. */
static char *nrrd_header_of(const struct volume *volume, const char *data_file)
{
    const struct storage *storage = &volume->storage;
    struct grid grid = orient_file(storage, &volume->grid);
    const char *space = storage->space;
    bool right = strcmp(space, "right-anterior-superior") == 0;
    bool anterior = right || strcmp(space, "left-anterior-superior") == 0;
    bool bare =
        space[0] == '\0' && memcmp(&grid, &storage->grid, sizeof grid) == 0; /* came without a space, goes without */

    if (!anterior && !bare && strcmp(space, "scanner-xyz") != 0)
        space = "left-posterior-superior";
    double v[4][3];

    for (int k = 0; k < 3; k++) {
        double turn = (k == 0 && right) || (k == 1 && anterior) ? -1 : 1;
        for (int a = 0; a < 3; a++)
            v[a][k] = grid.axis[a][k] == 0 ? 0 : turn * grid.axis[a][k]; /* no -0 */
        v[3][k] = grid.origin[k] == 0 ? 0 : turn * grid.origin[k];
    }

    const char(*unit)[16] = storage->space_units;
    char place[512], units[64] = "";
    if (!bare && (*unit[0] || *unit[1] || *unit[2]))
        snprintf(units, sizeof units, "space units: \"%s\" \"%s\" \"%s\"\n", unit[0], unit[1], unit[2]);
    if (bare)
        snprintf(place, sizeof place, "spacings: %.17g %.17g %.17g\n", v[0][0], v[1][1], v[2][2]);
    else
        snprintf(place, sizeof place,
                 "space directions: (%.17g,%.17g,%.17g) (%.17g,%.17g,%.17g) (%.17g,%.17g,%.17g)\n"
                 "space origin: (%.17g,%.17g,%.17g)\n",
                 v[0][0], v[0][1], v[0][2], v[1][0], v[1][1], v[1][2], v[2][0], v[2][1], v[2][2], v[3][0], v[3][1],
                 v[3][2]);
    return memory_printf("NRRD0005\ntype: %s\ndimension: 3\n%s%s%ssizes: %" PRId64 " %" PRId64 " %" PRId64
                         "\nkinds: domain domain domain\n%s%sendian: %s\nencoding: gzip\n%s%s%s\n",
                         disk_types[disk_type_of(volume->type)].name, bare ? "" : "space: ", bare ? "" : space,
                         bare ? "" : "\n", grid.dim[0], grid.dim[1], grid.dim[2], place, units,
                         airMyEndian() == airEndianLittle ? "little" : "big", data_file ? "data file: " : "",
                         data_file ? data_file : "", data_file ? "\n" : "");
}

/* header (may be NULL), then the gzip stream of the voxels when `data`. */
static enum status nrrd_write_file(const char *path, const char *header, const struct volume *data, struct error *error)
{
    char *part = NULL;
    struct byte_stream stream = {0};
    if (file_begin(&part, path, error))
        return STATUS_FAILED;
    enum status status = STATUS_OK;
    if (header) {
        status = byte_stream_create(&stream, path, part, false, error);
        if (!status)
            status = byte_stream_write(&stream, header, strlen(header), error);
        if (!status)
            status = byte_stream_close(&stream, error);
    }

    if (!status && data)
        status = byte_stream_append(&stream, path, part, error);
    if (!status && data)
        status = voxel_file_write(&stream, data, error);
    if (!status)
        status = byte_stream_close(&stream, error);
    if (!status)
        status = file_commit(&part, path, error);
    byte_stream_abandon(&stream);
    file_discard(&part);
    return status;
}

enum status nrrd_write(const char *path, const struct volume *volume, bool detached, struct error *error)
{
    const char *name = file_base(path);
    size_t stem = strlen(name) - (file_has_suffix(name, ".nhdr") ? 5 : 0);
    char *data_name = NULL, *data_path = NULL, *header = NULL;
    enum status status = STATUS_FAILED;

    if (detached && strchr(name, '%'))
        return error_set(error, STATUS_USAGE,
                         "%s: a detached header's name with '%%' would be read as a pattern (name it otherwise)", path);
    if (detached) {
        data_name = memory_printf("%.*s.raw.gz", (int)stem, name);
        data_path = memory_printf("%.*s%s", (int)(name - path), path, data_name ? data_name : "");
    }

    header = nrrd_header_of(volume, data_name);
    if (!header || (detached && (!data_name || !data_path)))
        error_memory(error, 1024, path);
    else if (!detached)
        status = nrrd_write_file(path, header, volume, error);
    else if (!(status = nrrd_write_file(data_path, NULL, volume, error)))
        status = nrrd_write_file(path, header, NULL, error);
    memory_free(header);
    memory_free(data_path);
    memory_free(data_name);
    return status;
}
