/* report_page.c - a report as one HTML page; see report.h. The page needs no other file: pictures are data within it.
 * Test: tests/infer/test_report.c */
#include "infer/report/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "shape/model.h"

enum { PICTURE_BYTES_MAX = 64 << 20 };

static const char page_head[] =
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\n"
    "<style>:root{color-scheme:light dark;--ink:#1d2530;--ground:#fff;--line:#d5dae1;--soft:#5a6675;--warn:#9a4b00}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--ground:#14181e;--line:#333c48;--soft:#9aa7b6;--warn:#"
    "ffb469}}\n"
    "body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:1080px;margin:1.5rem "
    "auto;padding:0 1rem}\n"
    "h1{font-size:1.4rem;margin:0}h2{font-size:1rem;margin:1.2rem 0 .3rem}p{margin:.3rem 0}.soft{color:var(--soft)}\n"
    "img{max-width:100%;background:#fff;border:1px solid var(--line);border-radius:4px;margin-top:.6rem}\n"
    "table{border-collapse:collapse;width:100%}td{padding:.15rem .5rem .15rem 0;border-bottom:1px solid var(--line)}"
    "td:last-child{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;padding-right:0}\n"
    ".columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:0 2rem}li{color:var(--warn)}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.4rem 1.2rem;margin:.3rem "
    "0}dt{color:var(--soft);font-size:.85em}"
    "dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}ul{margin:.3rem 0;padding-left:1.2rem}\n"
    "@page{size:A4;margin:11mm}@media print{:root{--ink:#000;--ground:#fff;--line:#bbb;--soft:#444;--warn:#7a3b00}"
    "body{margin:0;padding:0;max-width:none;font-size:10.5px;line-height:1.3}h1{font-size:15px}td{padding:.06rem .4rem "
    ".06rem 0}"
    ".columns{grid-template-columns:repeat(3,1fr);gap:0 1.4rem}img{display:block;max-height:83mm;margin:.3rem auto "
    "0}img+img{max-height:72mm}\n"
    "dl{grid-template-columns:repeat(5,1fr);gap:.1rem .8rem}"
    "h2{margin:.4rem 0 .1rem;font-size:12px}}</style>\n";

/* Text from outside, safe in HTML. */
static void page_text(FILE *file, const char *text)
{
    for (; *text; text++)
        if (strchr("<>&\"'", *text))
            fprintf(file, "&#%d;", *text);
        else
            fputc(*text, file);
}

static void page_row(FILE *file, const char *name, const char *format, double value)
{
    char text[64];
    snprintf(text, sizeof text, format, value);
    fprintf(file, "<tr><td>%s<td>%s\n", name, isfinite(value) ? text : "&ndash;");
}

static enum status page_picture(FILE *file, const char *path, const char *what, struct error *error)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *data = NULL;
    size_t bytes = 0;

    if (file_read(&data, &bytes, path, PICTURE_BYTES_MAX, error))
        return error->status;
    fprintf(file, "<img alt=\"%s\" src=\"data:image/png;base64,", what);
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++)
            three = three << 8 | (i + k < bytes ? (uint8_t)data[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            fputc(i + k > bytes ? '=' : digits[three >> (18 - 6 * k) & 63], file);
    }

    fputs("\">\n", file);

    memory_free(data);
    return STATUS_OK;
}

static void page_implant(FILE *file, const struct report *report)
{
    fputs("<div><h2>Implant</h2><table>\n", file);
    page_row(file, "volume", "%.2f ml", report->volume_ml);
    fprintf(file, "<tr><td>width, depth, height<td>%.1f &times; %.1f &times; %.1f mm\n", report->extent_mm[0],
            report->extent_mm[1], report->extent_mm[2]);
    page_row(file, "separate pieces", "%.0f", (double)report->n_components);
    page_row(file, "pieces removed", "%.0f", (double)report->removed.n);
    page_row(file, "volume removed", "%.2f ml", report->removed.volume_ml);
    page_row(file, "enclosed hollows", "%.2f ml", report->hollow_ml);
    fputs("</table><h2>Surface</h2><table>\n", file);
    fprintf(file, "<tr><td>closed, 2-manifold, oriented<td>%s, %s, %s\n", report->mesh.watertight ? "yes" : "no",
            report->mesh.manifold ? "yes" : "no", report->mesh.oriented ? "yes" : "no");
    page_row(file, "triangles that cross", "%.0f", (double)report->mesh.n_crossing);
    page_row(file, "enclosed volume", "%.2f ml", report->mesh.volume_ml);
    page_row(file, "area", "%.1f cm&sup2;", report->mesh.area_cm2);
    page_row(file, "triangles of the surface", "%.0f", (double)report->mesh.n_triangles);
    if (report->mesh.deviation_mm > 0)
        page_row(file, "decimated within", "%.3f mm", report->mesh.deviation_mm);
    fputs("</table></div>\n", file);
}

static void page_insertion(FILE *file, const struct insertion *insertion)
{
    for (int k = 0; k < insertion->n; k++) {
        const struct insertion_piece *piece = &insertion->piece[k];
        fprintf(file, "<h2>Insertion%s</h2><table>\n", insertion->n > 1 ? " of a piece" : "");
        if (insertion->n > 1)
            page_row(file, "volume", "%.2f ml", piece->volume_ml);
        fprintf(file, "<tr><td>best direction (L, P, S)<td>%.2f, %.2f, %.2f\n", piece->direction[0],
                piece->direction[1], piece->direction[2]);
        page_row(file, "undercut: behind bone along it", "%.2f ml", piece->undercut_ml);
        page_row(file, "largest interference", "%.1f mm", piece->interference_mm);
        page_row(file, "trimmed", "%.2f ml", piece->trimmed_ml);
        fputs("</table>\n", file);
    }
}

static void page_fit(FILE *file, const struct report *report)
{
    fputs("<div><h2>Thickness</h2><table>\n", file);
    page_row(file, "mean", "%.1f mm", report->thickness_mean_mm);
    page_row(file, "least", "%.1f mm", report->thickness_min_mm);
    page_row(file, "a twentieth is thinner than", "%.1f mm", report->thickness_p5_mm);
    page_row(file, "a twentieth is thicker than", "%.1f mm", report->thickness_p95_mm);
    page_row(file, "most", "%.1f mm", report->thickness_max_mm);
    fputs("</table></div><div><h2>Fit to the bone</h2><table>\n", file);
    page_row(file, "gap along the rim, median", "%.2f mm", report->rim_gap_mm);
    page_row(file, "rim in contact with bone", "%.0f %%", 100 * report->rim_contact_frac);
    page_row(file, "overlap: shared with the bone", "%.2f ml", report->overlap_ml);
    page_row(file, "spill: in front of or behind bone", "%.2f ml", report->spill_ml);
    fputs("</table><h2>Symmetry</h2><table>\n", file);
    page_row(file, "off the mirrored other side, mean", "%.1f mm", report->symmetry_mm);
    page_row(file, "implant on the mirrored other side", "%.0f %%", 100 * report->symmetry_overlap_frac);
    page_row(file, "bone on bone when mirrored", "%.0f %%", 100 * report->symmetry_plane_frac);
    fputs("</table>\n", file);
    page_insertion(file, &report->insertion);
    fputs("</div>\n", file);
}

static void page_prediction(FILE *file, const struct report *report)
{
    const struct report_prediction *prediction = &report->prediction;
    fputs("<div><h2>Prediction</h2><table>\n", file);
    page_row(file, "surface known to, 90 %, mean", "&plusmn; %.1f mm", prediction->interval_mean_mm);
    page_row(file, "a twentieth is less sure than", "&plusmn; %.1f mm", prediction->interval_p95_mm);
    if (prediction->n_members > 1)
        page_row(file, "by the spread of", "%.0f networks", (double)prediction->n_members);
    if (prediction->n_holes >= 0) {
        page_row(file, "holes", "%.0f", (double)prediction->n_holes);
        page_row(file, "their area", "%.1f cm&sup2;", prediction->hole_cm2);
    }
    fputs("</table></div>\n", file);
}

static void page_fact(FILE *file, const char *name, const char *format, ...) ERROR_PRINTF(3, 4);

static void page_fact(FILE *file, const char *name, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(file, "<div><dt>%s<dd>", name);
    page_text(file, text);
    fputs("</div>\n", file);
}

static enum status page_work(FILE *file, const struct report *report, const struct restoration *restoration,
                             const struct restorer *restorer, struct error *error)
{
    const struct grid *grid = &restoration->implant.grid;
    const struct model *model = restorer_model(restorer);
    const struct shape_model *shape = restorer_shape(restorer);
    char hash[REPORT_HASH_BYTES];
    if (report_model_hash(hash, restorer, error))
        return error->status;
    fputs("<h2>Work</h2><dl>\n", file);
    page_fact(file, "model", "%s", file_base(restorer_path(restorer)));
    if (*hash)
        page_fact(file, "model's hash (XXH64)", "%s", hash);
    if (model)
        page_fact(file, "network", "%s, %" PRId64 " parameters", model->network.name ? model->network.name : "unnamed",
                  model->params.n_floats);
    if (model && model_text(model, "licence"))
        page_fact(file, shape ? "network's origin" : "model's origin", "%s", model_text(model, "licence"));
    if (shape)
        page_fact(file, "shape model", "of %" PRId64 " heads", shape->heads.n);
    if (shape && *shape->licence)
        page_fact(file, model ? "shape model's origin" : "model's origin", "%s", shape->licence);
    page_fact(file, "voxels", "%" PRId64 " x %" PRId64 " x %" PRId64, grid->dim[0], grid->dim[1], grid->dim[2]);
    page_fact(file, "voxel size, mm", "%.3g x %.3g x %.3g", grid_spacing_mm(grid, 0), grid_spacing_mm(grid, 1),
              grid_spacing_mm(grid, 2));
    page_fact(file, "peak memory", "%.0f MB", (double)report->peak_bytes / 1e6);
    page_fact(file, "time, all", "%.1f s", report->total_s);
    page_fact(file, "read", "%.1f s", report->read_s);
    page_fact(file, "network", "%.1f s", restoration->network_s);
    page_fact(file, "surface and measures", "%.1f s", report->mesh_s);
    page_fact(file, "write", "%.1f s", report->write_s);
    page_fact(file, "picture", "%.1f s", report->picture_s);
    fputs("</dl>\n", file);
    return STATUS_OK;
}

static void page_warnings(FILE *file, const struct report *report)
{
    if (!report->n_warnings)
        return;
    fputs("<h2>Please note</h2><ul>\n", file);
    for (int64_t i = 0; i < report->n_warnings; i++) {
        fputs("<li>", file);
        page_text(file, report->warnings[i]);
    }
    fputs("</ul>\n", file);
}

static enum status page_write(FILE *file, const struct report *report, const struct restoration *restoration,
                              const struct restorer *restorer, const char *const pictures[REPORT_PICTURES],
                              const char *name, struct error *error)
{
    static const char *const what[REPORT_PICTURES] = {"views and slices of the skull with its implant",
                                                      "the implant coloured by thickness",
                                                      "the implant coloured by how sure the model is of it",
                                                      "the direction of insertion, and what lies behind bone along it"};
    enum status status = STATUS_OK;

    fputs(page_head, file);
    fputs("<title>Implant report: ", file);
    page_text(file, name);
    fputs("</title><h1>", file);
    page_text(file, name);
    fprintf(file, "</h1><p class=soft>Cranial implant report of %s. Research software: not for clinical use.</p>\n",
            report->created);
    page_warnings(file, report);
    for (int i = 0; !status && i < REPORT_PICTURES; i++)
        if (pictures[i])
            status = page_picture(file, pictures[i], what[i], error);

    if (report->n_components > 0) {
        fputs("<div class=columns>\n", file);
        page_implant(file, report);
        page_fit(file, report);
        if (report->prediction.made)
            page_prediction(file, report);
        fputs("</div>\n", file);
    }

    if (!status)
        status = page_work(file, report, restoration, restorer, error);
    fputs("</html>\n", file);

    return status;
}

enum status report_page_text(char **ret, const struct report *report, const struct restoration *restoration,
                             const struct restorer *restorer, const char *name, struct error *error)
{
    static const char *const no_pictures[REPORT_PICTURES] = {NULL};
    struct text page;
    char *text = NULL;
    if (text_open(&page, error))
        return error->status;
    enum status status = page_write(page.file, report, restoration, restorer, no_pictures, name, error);
    status = text_close(&text, &page, status, error);
    if (!status)
        *ret = text;
    return status;
}

enum status report_page(const char *path, const struct report *report, const struct restoration *restoration,
                        const struct restorer *restorer, const char *const pictures[REPORT_PICTURES], const char *name,
                        struct error *error)
{
    struct file_stream page;
    if (file_stream_open(&page, path, error))
        return error->status;
    const enum status status = page_write(page.file, report, restoration, restorer, pictures, name, error);
    return file_stream_close(&page, status, error);
}
