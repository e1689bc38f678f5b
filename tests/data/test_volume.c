/* Grids, storages, names, masks; one small volume in many storages, written by nibabel and pynrrd
 * (scripts/golden/volumes.py). */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/volume/formats.h"
#include "data/volume/turn.h"
#include "tests/check.h"

static const struct grid expected = {
    {5, 4, 3}, {{0.5, 0, 0}, {0, 0.59375, 0.0625}, {0, -0.125, 1.25}}, {-20, 30.5, -7.25}};

static const struct {
    const char *name, *file_type;
} files[] = {{"ras_i16.nii.gz", "int16"},        {"lps_u8.nii", "uint8"},           {"permuted_f64.nii.gz", "double"},
             {"version2_i32.nii", "int32"},      {"big_endian_u16.nii", "uint16"},  {"trailing_f32.nii", "float"},
             {"lps_i32.nrrd", "int32"},          {"ras_u8.nrrd", "uint8"},          {"las_i64.nrrd", "int64"},
             {"permuted_f64.nrrd", "double"},    {"big_endian_u16.nrrd", "uint16"}, {"detached_f32.nhdr", "float"},
             {"detached_raw_i16.nhdr", "int16"}, {"bzip2_i16.nrrd", "int16"},       {"ascii_i32.nrrd", "double"},
             {"ascii_f32.nhdr", "double"},       {"below_u8.nhdr", "uint8"},        {"zlib_i16.mha", "int16"},
             {"zlib_f32.mhd", "float"},          {"plain_u16.mhd", "uint16"},       {"pair_i16.hdr", "int16"},
             {"pair_f32.hdr.gz", "float"}};
enum { N_FILES = sizeof files / sizeof files[0] };

static double value_at(const struct volume *volume, int64_t i)
{
    return volume->type == VOXEL_U8    ? ((uint8_t *)volume->data)[i]
           : volume->type == VOXEL_I16 ? ((int16_t *)volume->data)[i]
                                       : (double)((float *)volume->data)[i];
}

/* Voxels that are not scale * (x + 10 y + 100 z) + offset. */
static int64_t wrong_values(const struct volume *volume, double scale, double offset)
{
    int64_t wrong = 0;
    for (int64_t i = 0; i < grid_voxels(&volume->grid); i++) {
        double stored = (double)(i % 5 + i / 5 % 4 * 10 + i / 20 * 100);
        wrong += value_at(volume, i) != (double)(float)(scale * stored + offset);
    }
    return wrong;
}

static void check_expected(const struct volume *volume, const char *name)
{
    bool ok = CHECK(grid_same(&volume->grid, &expected, 1e-6));
    ok = CHECK_INT(wrong_values(volume, 1, 0), 0) && ok;
    ok = CHECK_INT(volume->type, VOXEL_U8) && ok;
    if (!ok)
        fprintf(stderr, "    %s\n", name);
}

static void test_read(void)
{
    struct arena arena = {0};
    for (int f = 0; f < N_FILES; f++) {
        struct error error = {0};
        struct volume volume = {0}, header = {0};
        const char *path = arena_printf(&arena, "tests/data/golden/volumes/%s", files[f].name);
        if (CHECK_OK(volume_read(&volume, path, &error), &error))
            check_expected(&volume, files[f].name);
        if (CHECK_OK(volume_read_header(&header, path, &error), &error)) {
            CHECK(header.data == NULL);
            CHECK_INT(memcmp(&header.grid, &volume.grid, sizeof header.grid), 0);
            CHECK_TEXT(header.storage.file_type, files[f].file_type);
        }
        volume_done(&volume);
    }
    arena_done(&arena);
}

/* Each in each format: the same again, in the storage it had. */
static void test_round_trips(void)
{
    static const char *const suffixes[] = {".nii.gz", ".nii", ".nrrd", ".nhdr"};
    struct arena arena = {0};

    for (int f = 0; f < N_FILES; f++)
        for (int s = 0; s < 4; s++) {
            struct error error = {0};
            struct volume in = {0}, out = {0};
            const char *path = arena_printf(&arena, "tests/data/golden/volumes/%s", files[f].name);
            const char *copy = check_path(arena_printf(&arena, "copy%s", suffixes[s]));
            if (CHECK_OK(volume_read(&in, path, &error), &error) && CHECK_OK(volume_write(copy, &in, &error), &error) &&
                CHECK_OK(volume_read(&out, copy, &error), &error)) {
                check_expected(&out, copy);
                /* ITK's spacing times direction is no float, as NIfTI has it */
                const bool rounded = s < 2 && (file_has_suffix(path, ".mha") || file_has_suffix(path, ".mhd"));
                CHECK(rounded || memcmp(&in.storage.grid, &out.storage.grid, sizeof in.storage.grid) == 0);
                CHECK_INT(memcmp(in.storage.axis, out.storage.axis, sizeof in.storage.axis), 0);
                if (file_has_suffix(path, suffixes[s])) {
                    CHECK_TEXT(out.storage.space, in.storage.space);
                    CHECK_INT(out.storage.nifti_version, in.storage.nifti_version);
                    CHECK_INT(out.storage.sform_code, in.storage.sform_code);
                }
            }
            volume_done(&out);
            volume_done(&in);
        }
    arena_done(&arena);
}

/* A qform alone is used, and goes back as it was; a changed grid gets a qform of its own. */
static void test_qform(void)
{
    struct error error = {0};
    struct volume in = {0}, out = {0};
    const char *copy = check_path("qform.nii");

    if (!CHECK_OK(volume_read(&in, "tests/data/golden/volumes/qform_i8.nii", &error), &error))
        return;
    CHECK_INT(in.storage.sform_code, 0);
    CHECK_INT(in.storage.qform_code, 1);
    CHECK_NEAR(grid_spacing_mm(&in.grid, 2), 1.25, 1e-6);
    CHECK_NEAR(in.grid.origin[1], 30.5, 1e-5);
    CHECK_INT(wrong_values(&in, 1, 0), 0);

    for (int moved = 0; moved < 2; moved++) {
        in.grid.origin[0] += moved;
        CHECK_OK(volume_write(copy, &in, &error), &error);
        if (CHECK_OK(volume_read(&out, copy, &error), &error)) {
            CHECK_INT(out.storage.sform_code, 0);
            if (!moved)
                CHECK_INT(memcmp(&in.grid, &out.grid, sizeof in.grid), 0);
            CHECK(grid_same(&in.grid, &out.grid, 1e-5));
            CHECK_INT(wrong_values(&out, 1, 0), 0);
            volume_done(&out);
        }
    }

    volume_done(&in);
}

/* A header's unit goes back as it came: unknown stays unknown, a time unit stays, and mm is what is written where
 * nothing came. */
static void test_units(void)
{
    static const int units[] = {0, 2, 10};
    struct error error = {0};
    struct volume in = {0}, out = {0};
    const char *copy = check_path("units.nii"), *path = check_path("units_in.nii");
    char *data = NULL;
    size_t bytes;

    CHECK_OK(file_read(&data, &bytes, "tests/data/golden/volumes/qform_i8.nii", 1 << 16, &error), &error);

    for (int i = 0; data && i < 3; i++) {
        data[123] = (char)units[i]; /* xyzt_units of NIfTI-1 */
        CHECK_OK(file_write(path, data, bytes, &error), &error);
        if (CHECK_OK(volume_read(&in, path, &error), &error) && CHECK_OK(volume_write(copy, &in, &error), &error) &&
            CHECK_OK(volume_read(&out, copy, &error), &error))
            CHECK_INT(out.storage.xyzt_units, units[i]);
        CHECK_INT(memcmp(&in.grid, &out.grid, sizeof in.grid), 0);
        volume_done(&in);
        volume_done(&out);
    }

    memory_free(data);
    const int64_t dim[3] = {2, 3, 4};
    const struct grid grid = grid_make(dim, (const double[3]){1, 1, 1});
    CHECK_OK(volume_new(&in, &grid, VOXEL_U8, &error), &error);
    CHECK_OK(volume_write(copy, &in, &error), &error);
    CHECK_OK(volume_read_header(&out, copy, &error), &error);
    CHECK_INT(out.storage.xyzt_units, 2);
    volume_done(&in);
    volume_done(&out);
}

static void test_space_units(void)
{
    static const char head[] = "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 1 1 "
                               "2\n%sspace directions: (1,0,0) "
                               "(0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\n\n\1\2";
    static const char *const units[] = {"", "space units: \"mm\" \"mm\" \"mm\"\n",
                                        "space units: \"millimeters\" \"mm\" \"Millimetre\"\n"};
    const char *path = check_path("units_in.nrrd"), *copy = check_path("units.nrrd");

    for (int i = 0; i < 3; i++) {
        struct error error = {0};
        struct volume in = {0};
        char text[512], *data = NULL;
        size_t bytes;
        const int n = snprintf(text, sizeof text, head, units[i]);
        CHECK_OK(file_write(path, text, (size_t)n, &error), &error);
        CHECK_OK(volume_read(&in, path, &error), &error);
        CHECK_OK(volume_write(copy, &in, &error), &error);
        CHECK_OK(file_read(&data, &bytes, copy, 1 << 16, &error), &error);
        CHECK(data && (i ? strstr(data, units[i]) != NULL : strstr(data, "units") == NULL));
        memory_free(data);
        volume_done(&in);
        CHECK_OK(volume_read(&in, copy, &error), &error);
        volume_done(&in);
    }
}

/* bytes of the file with a float changed at `offset` */
static const char *patched(const char *name, const char *to, size_t offset, float value)
{
    struct error error = {0};
    struct arena arena = {0};
    char *data = NULL;
    size_t bytes;
    const char *path = check_path(to);
    if (CHECK_OK(file_read(&data, &bytes, arena_printf(&arena, "tests/data/golden/volumes/%s", name), 1 << 16, &error),
                 &error)) {
        memcpy(data + offset, &value, sizeof value);
        CHECK_OK(file_write(path, data, bytes, &error), &error);
    }
    memory_free(data);
    arena_done(&arena);
    return path;
}

/* The smallest type that holds all values. */
static void test_scaled(void)
{
    enum { SLOPE = 112 };
    static const struct {
        float slope;
        enum voxel_type type;
    } cases[] = {{0.5F, VOXEL_F32}, {100, VOXEL_I16}, {-1, VOXEL_I16},
                 {1000, VOXEL_F32}, {NAN, VOXEL_U8},  {1, VOXEL_U8}};

    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct error error = {0};
        struct volume volume = {0};
        if (CHECK_OK(volume_read(&volume, patched("lps_u8.nii", "scaled.nii", SLOPE, cases[c].slope), &error),
                     &error)) {
            CHECK_INT(volume.type, cases[c].type);
            CHECK_INT(wrong_values(&volume, isnan(cases[c].slope) ? 1 : cases[c].slope, 0), 0);
        }
        volume_done(&volume);
    }
}

static void test_mask(void)
{
    struct error error = {0};
    struct volume volume, mask = {0};
    const char *path = check_path("mask.nrrd");

    CHECK_FAILS(volume_read_mask(&mask, "tests/data/golden/volumes/lps_i32.nrrd", &error), &error, STATUS_FAILED,
                "non-binary skull: 60 labels: 0, 1 (0.0 ml), 2 (0.0 ml)");
    const int64_t dim[3] = {5, 4, 3};
    const double spacing[3] = {1, 1, 1};
    struct grid grid = grid_make(dim, spacing);
    CHECK_OK(volume_new(&volume, &grid, VOXEL_F32, &error), &error);
    float *values = volume.data;
    CHECK_OK(volume_write(path, &volume, &error), &error);
    CHECK_FAILS(volume_read_mask(&mask, path, &error), &error, STATUS_FAILED, "empty skull: all 60 voxels are 0");
    values[7] = values[59] = -0.25F; /* two values, whatever they are */
    CHECK_OK(volume_write(path, &volume, &error), &error);
    if (CHECK_OK(volume_read_mask(&mask, path, &error), &error)) {
        const uint8_t *got = mask.data;
        CHECK_INT(mask.type, VOXEL_U8);
        CHECK(got[7] == 1 && got[59] == 1 && got[8] == 0);
        volume_done(&mask);
    }

    values[9] = NAN;
    CHECK_OK(volume_write(path, &volume, &error), &error);
    CHECK_FAILS(volume_read_mask(&mask, path, &error), &error, STATUS_FAILED, "non-binary skull: 1 of 60");
    values[7] = values[59] = 0;
    CHECK_OK(volume_write(path, &volume, &error), &error);
    CHECK_FAILS(volume_read_mask(&mask, path, &error), &error, STATUS_FAILED,
                "empty skull: all 60 voxels are 0 or NaN");
    CHECK(mask.data == NULL);
    volume_done(&volume);
}

/* What was found is named, and the choice that the message names reads the file. */
static void test_mask_choice(void)
{
    enum { N = 4 * 4 * 4 };
    static const struct {
        float background, bone, edge; /* of most voxels, of 8 in the middle, of one more */
        const char *refused;          /* NULL: read without a choice */
        const char *label;
        double threshold;
    } cases[] = {
        {0, 1, 1, NULL, NULL, 0},
        {1, 0, 0, "an inverted mask: 1, in 86 % of the voxels", "0", 0},
        {-1024, 0, 0, "an inverted mask: -1024", "0", 0},
        {5, 7, 7, "two values, 5 and 7, and neither is 0", "7", 0},
        {0, 2, 1, "3 labels: 0, 1 (0.0 ml), 2 (0.0 ml)", "2", 0},
        {0, 1, 0.4F, "values between 0 and 1, as an interpolated mask", NULL, 0.5},
        {NAN, 1, 1, NULL, NULL, 0},
        {1, 1, 1, "all 64 voxels are 1: a mask has a background", NULL, 0},
        {NAN, NAN, NAN, "empty skull: all 64 voxels are NaN", NULL, 0},
    };
    const int64_t dim[3] = {4, 4, 4};
    const double spacing[3] = {1, 1, 1};
    const struct grid grid = grid_make(dim, spacing);
    const char *path = check_path("choice.nrrd");

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct error error = {0};
        struct volume volume, mask = {0};
        CHECK_OK(volume_new(&volume, &grid, VOXEL_F32, &error), &error);
        float *values = volume.data;
        for (int i = 0; i < N; i++) {
            const int x = i % 4, y = i / 4 % 4, z = i / 16;
            const bool middle = x % 3 && y % 3 && z % 3;
            values[i] = middle ? cases[c].bone : i == 1 ? cases[c].edge : cases[c].background;
        }
        CHECK_OK(volume_write(path, &volume, &error), &error);
        const struct mask_choice choice = {cases[c].label, cases[c].threshold};
        if (cases[c].refused)
            CHECK_FAILS(volume_read_mask(&mask, path, &error), &error, STATUS_FAILED, cases[c].refused);
        error = (struct error){0};
        if ((!cases[c].refused || choice.label || choice.threshold != 0) &&
            CHECK_OK(volume_read_mask_by(&mask, path, &choice, &error), &error)) {
            int n = 0, n_middle = 0;
            for (int i = 0; i < N; i++)
                n += ((const uint8_t *)mask.data)[i];
            n_middle = ((const uint8_t *)mask.data)[21] + ((const uint8_t *)mask.data)[42];
            CHECK_INT(n, 8 + (cases[c].edge == cases[c].bone));
            CHECK_INT(n_middle, 2);
            volume_done(&mask);
        }
        volume_done(&volume);
    }
}

/* A .seg.nrrd as 3D Slicer writes it: two layers, three segments. */
static void test_segments(void)
{
    static const char header[] = "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\n"
                                 "sizes: 2 2 2 2\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\n"
                                 "kinds: list domain domain domain\nencoding: raw\nspace origin: (0,0,0)\n"
                                 "Segment0_ID:=Segment_1\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n"
                                 "Segment0_Name:=bone\nSegment1_LabelValue:=2\nSegment1_Layer:=0\n"
                                 "Segment1_Name:=tumour bed\nSegment2_LabelValue:=1\nSegment2_Layer:=1\n"
                                 "Segment2_Name:=flap\n\n";
    static const uint8_t voxels[16] = {1, 0, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}; /* layer fastest */
    static const struct {
        const char *label;
        uint8_t mask[8];
    } cases[] = {{"bone", {1, 1, 0, 0, 0, 0, 0, 0}},
                 {"Tumour Bed", {0, 0, 1, 0, 0, 0, 0, 0}},
                 {"flap", {0, 1, 0, 0, 0, 0, 0, 1}}};
    const char *path = check_path("two.seg.nrrd");
    struct error error = {0};
    struct volume mask = {0};

    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(header, 1, sizeof header - 1, file) == sizeof header - 1 && fwrite(voxels, 1, 16, file) == 16);
    CHECK(file && fclose(file) == 0);
    CHECK_FAILS(volume_read_mask(&mask, path, &error), &error, STATUS_FAILED,
                "3 segments: 'bone', 'tumour bed', 'flap' (--label NAME");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const struct mask_choice choice = {cases[c].label, 0};
        error = (struct error){0};
        if (CHECK_OK(volume_read_mask_by(&mask, path, &choice, &error), &error))
            CHECK(memcmp(mask.data, cases[c].mask, 8) == 0);
        volume_done(&mask);
    }
    const struct mask_choice none = {"brain", 0};
    error = (struct error){0};
    CHECK_FAILS(volume_read_mask_by(&mask, path, &none, &error), &error, STATUS_FAILED,
                "--label brain: no segment of this name");
}

static void text_file(const char *path, const char *text, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(text, 1, strlen(text), file) == strlen(text) && fwrite(data, 1, bytes, file) == bytes);
    CHECK(file && fclose(file) == 0);
}

/* MetaImage with its voxels, beside them, big-endian, turned; and what is refused. */
static void test_metaimage(void)
{
    static const char head[] = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = %s\n"
                               "CompressedData = %s\nTransformMatrix = -1 0 0 0 1 0 0 0 1\nOffset = 10 -20 30\n"
                               "ElementSpacing = 0.5 2 3\nDimSize = 3 2 1\nElementType = MET_SHORT\n"
                               "ElementDataFile = %s\n";
    static const uint8_t little[12] = {0x18, 0xFC, 1, 0, 2, 0, 3, 0, 4, 0, 0x2C, 1}, /* -1000, 1 ... 4, 300 */
        big[12] = {0xFC, 0x18, 0, 1, 0, 2, 0, 3, 0, 4, 1, 0x2C};
    const char *paths[3] = {check_path("local.mha"), check_path("beside.mhd"), check_path("big.mha")};
    char text[600];
    struct error error = {0};
    struct volume volume;
    snprintf(text, sizeof text, head, "False", "False", "LOCAL");
    text_file(paths[0], text, little, sizeof little);
    snprintf(text, sizeof text, head, "False", "False", "beside.raw");
    text_file(paths[1], text, "", 0);
    text_file(check_path("beside.raw"), "", little, sizeof little);
    snprintf(text, sizeof text, head, "True", "False", "LOCAL");
    text_file(paths[2], text, big, sizeof big);

    for (int i = 0; i < 3; i++) {
        if (!CHECK_OK(volume_read(&volume, paths[i], &error), &error))
            continue;
        /* the file's x runs to the right: x is reversed, and voxel 0 lies at 10 - 2 * 0.5 */
        const int16_t *v = volume.data;
        CHECK(volume.type == VOXEL_I16 && v[0] == 2 && v[1] == 1 && v[2] == -1000 && v[3] == 300 && v[5] == 3);
        CHECK_NEAR(volume.grid.origin[0], 9, 1e-12);
        CHECK_NEAR(volume.grid.origin[1], -20, 1e-12);
        CHECK_NEAR(grid_spacing_mm(&volume.grid, 1), 2, 1e-12);
        volume_done(&volume);
    }

    snprintf(text, sizeof text, head, "False", "True", "LOCAL");
    text_file(paths[0], text, little, sizeof little);
    CHECK_FAILS(volume_read(&volume, paths[0], &error), &error, STATUS_FAILED, "damaged compressed data");
    error = (struct error){0};
    snprintf(text, sizeof text, head, "False", "False", "../etc");
    text_file(paths[0], text, little, sizeof little);
    CHECK_FAILS(volume_read(&volume, paths[0], &error), &error, STATUS_FAILED, "header's own folder");
    error = (struct error){0};
    text_file(paths[0], "NDims = 3\nDimSize = 1 2\n", "", 0);
    CHECK_FAILS(volume_read(&volume, paths[0], &error), &error, STATUS_FAILED, "DimSize = 1 2: not readable");
}

/* NIfTI as a pair: the single file cut after its header, "n+1" made "ni1". */
static void test_nifti_pair(void)
{
    struct error error = {0};
    struct volume one, pair;
    uint8_t bytes[4096];
    FILE *file = fopen("tests/data/golden/volumes/lps_u8.nii", "rb");
    const size_t n = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    CHECK(file && fclose(file) == 0 && n > 352);
    CHECK_OK(volume_read(&one, "tests/data/golden/volumes/lps_u8.nii", &error), &error);
    float offset = 0;
    memcpy(&offset, bytes + 108, sizeof offset);
    const size_t from = (size_t)offset;
    memset(bytes + 108, 0, 4);
    memcpy(bytes + 344, "ni1", 4);
    text_file(check_path("pair.hdr"), "", bytes, 348);
    text_file(check_path("pair.img"), "", bytes + from, n - from);
    if (CHECK_OK(volume_read(&pair, check_path("pair.hdr"), &error), &error)) {
        CHECK(grid_same(&one.grid, &pair.grid, 0));
        CHECK(memcmp(one.data, pair.data, (size_t)grid_voxels(&one.grid) * voxel_bytes(one.type)) == 0);
        volume_done(&pair);
    }
    volume_done(&one);
}

/* Headers that contradict themselves are read, and marked. */
static void test_doubts(void)
{
    struct error error = {0};
    struct volume volume;
    enum { QFORM_CODE = 252, SFORM_CODE = 254, SROW_X = 280 };
    CHECK_OK(volume_read_header(&volume, "tests/data/golden/volumes/lps_u8.nii", &error), &error);
    CHECK_INT(volume.storage.doubts, 0);

    const char *path = check_path("doubts.nii");
    const struct grid grid = grid_make((const int64_t[3]){3, 3, 3}, (const double[3]){2, 2, 2});
    struct volume out;
    CHECK_OK(volume_new(&out, &grid, VOXEL_U8, &error), &error);
    CHECK_OK(volume_write(path, &out, &error), &error);
    const int16_t none = 0;
    const float one = -1;
    FILE *file = fopen(path, "r+b");
    CHECK(file && fseek(file, SROW_X, SEEK_SET) == 0 && fwrite(&one, sizeof one, 1, file) == 1 && fclose(file) == 0);
    CHECK_OK(volume_read_header(&volume, path, &error), &error);
    CHECK_INT(volume.storage.doubts, 1U << DOUBT_SFORM_SPACING | 1U << DOUBT_FORMS_DIFFER);
    file = fopen(path, "r+b");
    CHECK(file && fseek(file, QFORM_CODE, SEEK_SET) == 0 && fwrite(&none, 2, 1, file) == 1 &&
          fwrite(&none, 2, 1, file) == 1 && fclose(file) == 0);
    CHECK_OK(volume_read_header(&volume, path, &error), &error);
    CHECK_INT(volume.storage.doubts, 1U << DOUBT_NO_PLACE);
    volume_done(&out);
}

static void test_grid(void)
{
    const double index[3] = {1.5, -2, 0.25};
    double world[3], back[3];

    grid_to_world(&expected, index, world);
    grid_to_index(&expected, world, back);
    for (int a = 0; a < 3; a++)
        CHECK_NEAR(back[a], index[a], 1e-12);
    CHECK_NEAR(world[0], -19.25, 1e-12);
    CHECK_NEAR(grid_voxel_ml(&expected), 0.5 * (0.59375 * 1.25 + 0.125 * 0.0625) / 1000, 1e-15);
    CHECK_INT(grid_voxels(&expected), 60);
    struct grid other = expected;
    CHECK(grid_same(&expected, &other, 0));
    other.axis[0][2] += 0.01; /* 4 steps: 0.04 mm at the far corner */
    CHECK(grid_same(&expected, &other, 0.041) && !grid_same(&expected, &other, 0.039));
    other.origin[0] = NAN;
    CHECK(!grid_same(&expected, &other, 1e9));
    struct error error = {0};
    struct volume volume;
    other.origin[0] = 0;
    other.dim[1] = INT64_MAX;
    CHECK_FAILS(volume_new(&volume, &other, VOXEL_U8, &error), &error, STATUS_FAILED, "more than 2^40 voxels");
}

static void test_write_errors(void)
{
    struct error error = {0};
    struct volume volume = {0};
    CHECK_OK(volume_read(&volume, "tests/data/golden/volumes/lps_u8.nii", &error), &error);
    CHECK_FAILS(volume_write(check_path("skull.stl"), &volume, &error), &error, STATUS_USAGE,
                "no volume format ends like this");
    CHECK_FAILS(volume_write(check_path("no/such/folder/skull.nii"), &volume, &error), &error, STATUS_FAILED,
                "skull.nii");
    CHECK_FAILS(volume_write(check_path("a%d.nhdr"), &volume, &error), &error, STATUS_USAGE, "pattern");
    CHECK_FAILS(volume_read(&volume, check_path("nowhere.nii"), &error), &error, STATUS_FAILED, "No such file");
    CHECK_FAILS(volume_read(&volume, check_folder(), &error), &error, STATUS_FAILED, "a folder, not a file");
    volume.grid.axis[1][1] = NAN;
    CHECK_FAILS(volume_write(check_path("nan.nrrd"), &volume, &error), &error, STATUS_FAILED,
                "spacing of axis 1: nan mm");
    volume_done(&volume);
}

static void test_names(void)
{
    static const char *const names[][2] = {{"a/b/012_defective.nii.gz", "012"},
                                           {"x.y_complete.NRRD", "x.y"},
                                           {"/case_ct.nii", "case"},
                                           {"head.nhdr", "head"},
                                           {"_ct.nii", "_ct"},
                                           {".nii.gz", ".nii.gz"},
                                           {"plain", "plain"},
                                           {"a_ct_complete.nii", "a_ct"}};
    struct arena arena = {0};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_TEXT(volume_case_name(&arena, names[i][0]), names[i][1]);
    CHECK_INT(volume_format_of("A.NII.GZ"), VOLUME_NIFTI_GZ);
    CHECK_INT(volume_format_of("a.nii"), VOLUME_NIFTI);
    CHECK_INT(volume_format_of("a.gz"), -1);
    CHECK_TEXT(volume_suffix(VOLUME_NHDR), ".nhdr");
    arena_done(&arena);
}

/* Into a frame and back: the same voxels; in between each has its place in the world. */
static void test_turn(void)
{
    static const double frame[3][3] = {{0, -0.96, 0.28}, {-1, 0, 0}, {0, -0.28, -0.96}};
    struct error error = {0};
    struct volume volume = {0}, turned = {0}, back = {0};
    CHECK_OK(volume_new(&volume, &expected, VOXEL_I16, &error), &error);
    for (int64_t i = 0; i < grid_voxels(&volume.grid); i++)
        ((int16_t *)volume.data)[i] = (int16_t)i;
    CHECK(!turn_is_needed(&volume.grid, turn_lps));
    CHECK(turn_is_needed(&volume.grid, frame));
    CHECK_OK(turn_volume(&turned, &volume, frame, &error), &error);
    CHECK(turned.grid.dim[0] == 4 && turned.grid.dim[1] == 5 && turned.grid.dim[2] == 3);
    for (int64_t i = 0; i < grid_voxels(&turned.grid); i++) {
        const int64_t stored = ((int16_t *)turned.data)[i];
        const double to[3] = {(double)(i % 4), (double)(i / 4 % 5), (double)(i / 20)},
                     from[3] = {(double)(stored % 5), (double)(stored / 5 % 4), (double)(stored / 20)};
        double a[3], b[3];
        grid_to_world(&turned.grid, to, a);
        grid_to_world(&volume.grid, from, b);
        CHECK(fabs(a[0] - b[0]) + fabs(a[1] - b[1]) + fabs(a[2] - b[2]) < 1e-9);
    }
    CHECK_OK(turn_volume(&back, &turned, turn_lps, &error), &error);
    CHECK(grid_same(&back.grid, &volume.grid, 1e-9));
    CHECK(memcmp(back.data, volume.data, 60 * sizeof(int16_t)) == 0);
    volume_done(&volume);
    volume_done(&turned);
    volume_done(&back);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"read", test_read},
                                       {"round_trips", test_round_trips},
                                       {"qform", test_qform},
                                       {"units", test_units},
                                       {"space_units", test_space_units},
                                       {"scaled", test_scaled},
                                       {"mask", test_mask},
                                       {"mask_choice", test_mask_choice},
                                       {"segments", test_segments},
                                       {"metaimage", test_metaimage},
                                       {"nifti_pair", test_nifti_pair},
                                       {"doubts", test_doubts},
                                       {"grid", test_grid},
                                       {"names", test_names},
                                       {"turn", test_turn},
                                       {"write_errors", test_write_errors},
                                       {0}};
    return check_main(argc, argv, tests);
}
