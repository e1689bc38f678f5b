/* mesh_3mf.c - a surface as 3MF (3MF Consortium, Core Specification 1.3): a ZIP archive of XML whose unit, millimetres,
 * stands in the file, which STL lacks. Deflate and checksums are zlib's; the archive's dates are fixed, so that equal
 * surfaces give equal bytes. See mesh.h. Test: tests/infer/test_mesh.c */
#include "infer/mesh/mesh.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "infer/mesh/mesh_write.h"

enum { ENTRIES = 3, LOCAL_BYTES = 30, CENTRAL_BYTES = 46, END_BYTES = 22, CHUNK_BYTES = 1 << 16, LINE_BYTES = 256 };
enum { ZIP_VERSION = 20, ZIP_DEFLATED = 8, ZIP_DATE = 0x21 /* 1980-01-01 */ };

static const char content_types[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">"
    "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
    "<Default Extension=\"model\" ContentType=\"application/vnd.ms-package.3dmanufacturing-3dmodel+xml\"/></Types>\n";
static const char relations[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">"
    "<Relationship Target=\"/3D/3dmodel.model\" Id=\"rel0\" "
    "Type=\"http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel\"/></Relationships>\n";

/* One file of the archive. */
struct zip_entry {
    const char *name;
    uint32_t crc, packed, bytes, offset;
};

struct zip {
    FILE *file;
    struct zip_entry entry[ENTRIES];
    int n;
    z_stream stream;
    bool ok;
    uint8_t out[CHUNK_BYTES];
};

static void zip_put(uint8_t *at, int n_bytes, uint32_t value)
{
    for (int i = 0; i < n_bytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* The fields that local and central headers share: 26 bytes from "version needed" on. */
static void zip_header(uint8_t *at, const struct zip_entry *entry)
{
    zip_put(at, 2, ZIP_VERSION);
    zip_put(at + 4, 2, ZIP_DEFLATED);
    zip_put(at + 8, 2, ZIP_DATE);
    zip_put(at + 10, 4, entry->crc);
    zip_put(at + 14, 4, entry->packed);
    zip_put(at + 18, 4, entry->bytes);
    zip_put(at + 22, 2, (uint32_t)strlen(entry->name));
}

static void zip_deflate(struct zip *zip, const void *text, size_t bytes, int flush)
{
    struct zip_entry *entry = &zip->entry[zip->n - 1];
    entry->crc = (uint32_t)crc32(entry->crc, text, (uInt)bytes);
    entry->bytes += (uint32_t)bytes;
    zip->stream.next_in = (Bytef *)(uintptr_t)text;
    zip->stream.avail_in = (uInt)bytes;
    do {
        zip->stream.next_out = zip->out;
        zip->stream.avail_out = CHUNK_BYTES;
        zip->ok = zip->ok && deflate(&zip->stream, flush) != Z_STREAM_ERROR;
        const size_t n = CHUNK_BYTES - zip->stream.avail_out;
        zip->ok = zip->ok && fwrite(zip->out, 1, n, zip->file) == n;
        entry->packed += (uint32_t)n;
    } while (zip->ok && zip->stream.avail_out == 0);
}

static void zip_print(struct zip *zip, const char *format, ...) ERROR_PRINTF(2, 3);

static void zip_print(struct zip *zip, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    zip->ok = zip->ok && n >= 0 && n < LINE_BYTES;
    if (zip->ok)
        zip_deflate(zip, line, (size_t)n, Z_NO_FLUSH);
}

/* Room for the header, which zip_end fills in. */
static void zip_begin(struct zip *zip, const char *name)
{
    const uint8_t none[LOCAL_BYTES] = {0};
    struct zip_entry *entry = &zip->entry[zip->n++];
    *entry = (struct zip_entry){.name = name, .crc = (uint32_t)crc32(0, NULL, 0), .offset = (uint32_t)ftell(zip->file)};
    zip->stream = (z_stream){0};
    zip->ok =
        zip->ok && deflateInit2(&zip->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    zip->ok = zip->ok && fwrite(none, sizeof none, 1, zip->file) == 1 && fputs(name, zip->file) >= 0;
}

static void zip_end(struct zip *zip)
{
    const struct zip_entry *entry = &zip->entry[zip->n - 1];
    uint8_t local[LOCAL_BYTES] = {'P', 'K', 3, 4};
    zip_deflate(zip, "", 0, Z_FINISH);
    deflateEnd(&zip->stream);
    zip_header(local + 4, entry);
    zip->ok = zip->ok && fseek(zip->file, (long)entry->offset, SEEK_SET) == 0 &&
              fwrite(local, sizeof local, 1, zip->file) == 1 && fseek(zip->file, 0, SEEK_END) == 0;
}

static void zip_close(struct zip *zip)
{
    const uint32_t begin = (uint32_t)ftell(zip->file);
    for (int i = 0; i < zip->n; i++) {
        uint8_t central[CENTRAL_BYTES] = {'P', 'K', 1, 2, ZIP_VERSION};
        zip_header(central + 6, &zip->entry[i]);
        zip_put(central + 42, 4, zip->entry[i].offset);
        zip->ok =
            zip->ok && fwrite(central, sizeof central, 1, zip->file) == 1 && fputs(zip->entry[i].name, zip->file) >= 0;
    }

    uint8_t end[END_BYTES] = {'P', 'K', 5, 6};
    zip_put(end + 8, 2, (uint32_t)zip->n);
    zip_put(end + 10, 2, (uint32_t)zip->n);
    zip_put(end + 12, 4, (uint32_t)ftell(zip->file) - begin);
    zip_put(end + 16, 4, begin);
    zip->ok = zip->ok && fwrite(end, sizeof end, 1, zip->file) == 1;
}

static void mesh_put_model(struct zip *zip, const struct mesh *mesh, enum mesh_space space)
{
    const double sign = space == MESH_RAS ? -1 : 1;
    zip_print(zip, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<model unit=\"millimeter\" xml:lang=\"en\" ");
    zip_print(zip, "xmlns=\"http://schemas.microsoft.com/3dmanufacturing/core/2015/02\">\n");
    zip_print(zip, " <metadata name=\"Title\">cranial implant</metadata>\n");
    zip_print(zip, " <metadata name=\"Description\">calvaria, SPACE=%s; research software</metadata>\n",
              space == MESH_RAS ? "RAS" : "LPS");
    zip_print(zip, " <resources><object id=\"1\" type=\"model\"><mesh>\n  <vertices>\n");
    for (int64_t i = 0; zip->ok && i < mesh->n_points; i++)
        zip_print(zip, "<vertex x=\"%.4f\" y=\"%.4f\" z=\"%.4f\"/>\n", sign * mesh->point[i][0],
                  sign * mesh->point[i][1], mesh->point[i][2]);
    zip_print(zip, "  </vertices>\n  <triangles>\n");
    for (int64_t t = 0; zip->ok && t < mesh->n_triangles; t++)
        zip_print(zip, "<triangle v1=\"%" PRId64 "\" v2=\"%" PRId64 "\" v3=\"%" PRId64 "\"/>\n", mesh->triangle[t][0],
                  mesh->triangle[t][1], mesh->triangle[t][2]);
    zip_print(zip, "  </triangles>\n </mesh></object></resources>\n <build><item objectid=\"1\"/></build>\n</model>\n");
}

static bool mesh_put_3mf(FILE *file, const struct mesh *mesh, enum mesh_space space)
{
    struct zip *zip = memory_zalloc(1, sizeof *zip);
    if (!zip)
        return false;
    zip->file = file;
    zip->ok = true;

    zip_begin(zip, "[Content_Types].xml");
    zip_deflate(zip, content_types, sizeof content_types - 1, Z_NO_FLUSH);
    zip_end(zip);
    zip_begin(zip, "_rels/.rels");
    zip_deflate(zip, relations, sizeof relations - 1, Z_NO_FLUSH);
    zip_end(zip);
    zip_begin(zip, "3D/3dmodel.model");
    mesh_put_model(zip, mesh, space);
    zip_end(zip);
    zip_close(zip);

    const bool ok = zip->ok;
    memory_free(zip);
    return ok;
}

enum status mesh_write_3mf(const char *path, const struct mesh *mesh, enum mesh_space space, struct error *error)
{
    if (mesh->n_triangles > INT32_MAX / 64)
        return error_set(error, STATUS_FAILED, "%s: %" PRId64 " triangles: too many for a ZIP archive of 4 GB", path,
                         mesh->n_triangles);
    return mesh_write(path, mesh, space, mesh_put_3mf, error);
}
