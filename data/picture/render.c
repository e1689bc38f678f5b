/* render.c - views, slices and contact sheets of masks. Test: tests/data/test_render.c. */
#include "data/picture/render.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "data/mask/morphology.h"
#include "data/picture/scene.h"

enum {
    SLICE_SAMPLES = 3,
    SHEET_PANEL = 400,
    SHEET_CAPTION = 24,
    SHEET_GAP = 8,
    SHEET_TITLE = 40,
    SCENE_CELLS_MAX = 400,
    SHEET_CELLS = 300
};

static const uint8_t slice_ground[3] = COLOUR_SLICE, sheet_ground[3] = COLOUR_PAPER, sheet_ink[3] = COLOUR_INK;

enum status render_shaded_views(struct image *ret, const struct grid *grid, const struct render_layer *layers,
                                int n_layers, const enum render_view *views, int n_views, int64_t px,
                                struct error *error)
{
    struct scene scene;
    for (int i = 0; i < n_views; i++)
        if (px < 1 || (int)views[i] < 0 || views[i] >= VIEW_N)
            return error_set(error, STATUS_FAILED,
                             "picture: view %d of %" PRId64 " pixels: out of range (a view, at least 1 pixel)",
                             (int)views[i], px);
    if (scene_make(&scene, grid, layers, n_layers, px < SCENE_CELLS_MAX ? px : SCENE_CELLS_MAX, error))
        return error->status;
    int done = 0;
    while (done < n_views && !scene_shade(&ret[done], &scene, views[done], px, error))
        done++;
    for (int i = 0; done < n_views && i < done; i++)
        image_done(&ret[i]);
    scene_done(&scene);
    return done < n_views ? error->status : STATUS_OK;
}

enum status render_shaded(struct image *ret, const struct grid *grid, const struct render_layer *layers, int n_layers,
                          enum render_view view, int64_t px, struct error *error)
{
    return render_shaded_views(ret, grid, layers, n_layers, &view, 1, px, error);
}

/* Index of the layer at a voxel, or -1. */
static int render_slice_layer(const struct grid *grid, const struct render_layer *layers, int n_layers,
                              const int64_t at[3])
{
    for (int k = n_layers - 1; k >= 0; k--)
        if (scene_layer_at(grid, &layers[k], at))
            return k;
    return -1;
}

enum status render_slice(struct image *ret, const struct grid *grid, const struct render_layer *layers, int n_layers,
                         int axis, int64_t index, int64_t px, struct error *error)
{
    const struct box all = {.hi = {grid->dim[0], grid->dim[1], grid->dim[2]}};
    return render_slice_box(ret, grid, layers, n_layers, (struct render_cut){axis, index, all}, px, error);
}

enum status render_slice_box(struct image *ret, const struct grid *grid, const struct render_layer *layers,
                             int n_layers, struct render_cut cut, int64_t px, struct error *error)
{
    const int axis = cut.axis;
    const int64_t index = cut.index;
    const struct box box = cut.box;
    if (axis < 0 || axis > 2 || index < 0 || index >= grid->dim[axis] || px < 1 || box_empty(box))
        return error_set(error, STATUS_FAILED, "picture: slice %" PRId64 " across axis %d: outside the volume", index,
                         axis);

    const int across = axis == 0 ? 1 : 0, down = axis == 2 ? 1 : 2; /* y down in axial slices, z up in the others */
    const int64_t n_across = box.hi[across] - box.lo[across], n_down = box.hi[down] - box.lo[down];

    /* The longer side fills the picture; pixels are square in mm */
    double across_mm = grid_spacing_mm(grid, across) * (double)n_across;
    double down_mm = grid_spacing_mm(grid, down) * (double)n_down;
    double mm = fmax(across_mm, down_mm) / (double)px;
    int64_t w = (int64_t)fmax(1, round(across_mm / mm)), h = (int64_t)fmax(1, round(down_mm / mm));

    if (image_new(ret, w, h, error))
        return error->status;
/* Each pixel is the mean of SLICE_SAMPLES^2 points */
#pragma omp parallel for schedule(static)
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            int sum[3] = {0, 0, 0};
            for (int s = 0; s < SLICE_SAMPLES * SLICE_SAMPLES; s++) {
                const int column = s % SLICE_SAMPLES, row = s / SLICE_SAMPLES;
                double u = ((double)x + (column + 0.5) / SLICE_SAMPLES) / (double)w;
                double v = ((double)y + (row + 0.5) / SLICE_SAMPLES) / (double)h;
                int64_t i = box.lo[across] + (int64_t)(u * (double)n_across), j = (int64_t)(v * (double)n_down);
                j = down == 2 ? box.hi[2] - 1 - j : box.lo[1] + j;
                int64_t at[3];
                at[axis] = index;
                at[across] = i;
                at[down] = j;
                int layer = render_slice_layer(grid, layers, n_layers, at);
                for (int c = 0; c < 3; c++)
                    sum[c] += layer < 0 ? slice_ground[c] : layers[layer].rgb[c];
            }
            for (int c = 0; c < 3; c++)
                ret->rgb[3 * (y * w + x) + c] = (uint8_t)(sum[c] / (SLICE_SAMPLES * SLICE_SAMPLES));
        }
    return STATUS_OK;
}

/* A panel of the sheet: the picture in the middle, its name below, at the left. Takes the picture. */
static void render_place(struct image *sheet, struct image *picture, int column, int row, const char *label)
{
    int64_t x = SHEET_GAP + column * (SHEET_PANEL + SHEET_GAP), y = SHEET_TITLE + row * (SHEET_PANEL + SHEET_GAP);
    image_paste(sheet, picture, x + (SHEET_PANEL - picture->w) / 2, y + (SHEET_PANEL - SHEET_CAPTION - picture->h) / 2);
    image_text(sheet, x + 4, y + SHEET_PANEL - SHEET_CAPTION, label, TEXT_NORMAL, sheet_ink);
    image_done(picture);
}

/* The middle of the focus layer's box as seen from the middle of all bone, in voxels; the volume's middle where it is
 * empty. */
static void render_middle(int64_t middle[3], bool *ret_left, bool *ret_back, const struct grid *grid,
                          const struct render_layer *layers, int n_layers, int focus)
{
    struct box all = {{0}, {0}}, box = {{0}, {0}};
    for (int i = 0; i < n_layers; i++) {
        const struct box own = scene_layer_box(grid, &layers[i]);
        all = box_join(all, own);
        box = i == focus ? own : box;
    }
    for (int a = 0; a < 3; a++)
        middle[a] = box_empty(box) ? grid->dim[a] / 2 : (box.lo[a] + box.hi[a]) / 2;
    double side = (double)(all.hi[0] - all.lo[0]), depth = (double)(all.hi[1] - all.lo[1]);
    *ret_left = (double)middle[0] > (double)(all.lo[0] + all.hi[0]) / 2 - 0.02 * side;
    *ret_back = (double)middle[1] > (double)(all.lo[1] + all.hi[1]) / 2 + 0.1 * depth;
}

static void render_legend(struct image *sheet, const struct grid *grid, const struct render_layer *layers, int n_layers)
{
    int64_t x = SHEET_GAP + 3 * (SHEET_PANEL + SHEET_GAP) + 24, y = SHEET_TITLE + SHEET_PANEL + SHEET_GAP + 90;
    char text[160];

    for (int i = 0; i < n_layers; i++, y += 48) {
        image_rectangle(sheet, x, y, 28, 28, layers[i].rgb);
        const int64_t n = layers[i].within ? box_voxels(*layers[i].within) : grid_voxels(grid);
        double ml = layers[i].is_mark ? 0 : (double)mask_count(layers[i].mask, n) * grid_voxel_ml(grid);
        const char *name = layers[i].name ? layers[i].name : "";
        if (layers[i].is_mark)
            snprintf(text, sizeof text, "%.20s", name);
        else
            snprintf(text, sizeof text, "%.20s\n%.1f ml", name, ml);
        image_text(sheet, x + 40, y - 6, text, TEXT_NORMAL, sheet_ink);
    }

    snprintf(text, sizeof text, "%" PRId64 " x %" PRId64 " x %" PRId64 " voxels\n%.3g x %.3g x %.3g mm", grid->dim[0],
             grid->dim[1], grid->dim[2], grid_spacing_mm(grid, 0), grid_spacing_mm(grid, 1), grid_spacing_mm(grid, 2));
    image_text(sheet, x, y + 20, text, TEXT_NORMAL, sheet_ink);
}

static enum status render_views(struct image *sheet, const struct scene *scene, bool left, bool back,
                                struct error *error)
{
    const struct {
        enum render_view view;
        const char *label;
    } panels[] = {{left ? VIEW_LEFT : VIEW_RIGHT, left ? "left" : "right"},
                  {VIEW_FRONT, "front"},
                  {VIEW_TOP, "top (nose up)"},
                  {back ? VIEW_OBLIQUE_BACK : VIEW_OBLIQUE, back ? "from behind" : "oblique"}};
    for (int i = 0; i < 4; i++) {
        struct image picture;
        if (scene_shade(&picture, scene, panels[i].view, SHEET_PANEL - SHEET_CAPTION, error))
            return error->status;
        render_place(sheet, &picture, i, 0, panels[i].label);
    }
    return STATUS_OK;
}

/* Letters at the four sides, a bar of 50 mm at the lower left: volumes run to the left, to the back and upwards, and a
 * slice is seen with its first voxel at the left and, but for axial ones, the last at the top. */
static void render_slice_marks(struct image *picture, const struct grid *grid, int axis)
{
    static const char *const sides[3][4] = {{"A", "P", "S", "I"}, {"R", "L", "S", "I"}, {"R", "L", "A", "P"}};
    static const uint8_t ink[3] = COLOUR_NOTE; /* seen on bone and on the ground */
    const int across = axis == 0 ? 1 : 0;
    const double width_mm = grid_spacing_mm(grid, across) * (double)grid->dim[across], BAR_MM = 50;
    const int64_t line = image_text_line(TEXT_NORMAL), edge = 4,
                  bar = (int64_t)lround(BAR_MM * (double)picture->w / width_mm);
    const char *const *side = sides[axis];

    image_text(picture, edge, (picture->h - line) / 2, side[0], TEXT_NORMAL, ink);
    image_text(picture, picture->w - edge - image_text_width(side[1], TEXT_NORMAL), (picture->h - line) / 2, side[1],
               TEXT_NORMAL, ink);
    image_text(picture, (picture->w - image_text_width(side[2], TEXT_NORMAL)) / 2, edge, side[2], TEXT_NORMAL, ink);
    image_text(picture, (picture->w - image_text_width(side[3], TEXT_NORMAL)) / 2, picture->h - line - edge, side[3],
               TEXT_NORMAL, ink);

    if (bar < 1 || bar > picture->w / 2)
        return;
    image_rectangle(picture, 2 * edge, picture->h - 2 * edge, bar, 2, ink);
    image_text(picture, 2 * edge, picture->h - 2 * edge - image_text_line(TEXT_SMALL) - 1, "50 mm", TEXT_SMALL, ink);
}

static enum status render_slices(struct image *sheet, const struct grid *grid, const struct render_layer *layers,
                                 int n_layers, const int64_t middle[3], struct error *error)
{
    static const char *const labels[3] = {"sagittal", "coronal", "axial"};
    for (int axis = 0; axis < 3; axis++) {
        struct image picture;
        char label[64];
        if (render_slice(&picture, grid, layers, n_layers, axis, middle[axis], SHEET_PANEL - SHEET_CAPTION, error))
            return error->status;
        render_slice_marks(&picture, grid, axis);
        snprintf(label, sizeof label, "%s, slice %" PRId64, labels[axis], middle[axis]);
        render_place(sheet, &picture, axis, 1, label);
    }
    return STATUS_OK;
}

enum status render_sheet(const char *path, const struct grid *grid, const struct render_layer *layers, int n_layers,
                         int focus, const char *title, struct error *error)
{
    struct image sheet = {0};
    struct scene scene = {0};
    int64_t middle[3];
    bool left, back;
    if (n_layers < 1 || n_layers > RENDER_MAX_LAYERS || focus < 0 || focus >= n_layers)
        return error_set(error, STATUS_FAILED, "picture: layer %d of %d: out of range (1 to %d layers)", focus,
                         n_layers, RENDER_MAX_LAYERS);
    if (image_new(&sheet, 4 * (SHEET_PANEL + SHEET_GAP) + SHEET_GAP, SHEET_TITLE + 2 * (SHEET_PANEL + SHEET_GAP),
                  error))
        return error->status;

    image_fill(&sheet, sheet_ground);
    render_middle(middle, &left, &back, grid, layers, n_layers, focus);

    enum status status = scene_make(&scene, grid, layers, n_layers, SHEET_CELLS, error);
    if (!status)
        status = render_views(&sheet, &scene, left, back, error);
    if (!status)
        status = render_slices(&sheet, grid, layers, n_layers, middle, error);

    if (!status) {
        render_legend(&sheet, grid, layers, n_layers);
        if (title)
            image_text(&sheet, SHEET_GAP + 4, 7, title, TEXT_LARGE, sheet_ink);
        status = image_write_png(path, &sheet, error);
    }

    scene_done(&scene);
    image_done(&sheet);
    return status;
}

int64_t render_sheet_bytes(const struct grid *grid)
{
    enum {
        ARRAYS = 4,
        MARGIN = 24,
        PICTURES = 32 << 20
    }; /* density, label and two blurred; the samples of a view, a row of each thread */
    double longest = 0, cells = 1;
    for (int a = 0; a < 3; a++)
        longest = fmax(longest, grid_spacing_mm(grid, a) * (double)grid->dim[a]);
    for (int a = 0; a < 3; a++) {
        double spacing = grid_spacing_mm(grid, a), cell = longest / SHEET_CELLS;
        cells *= (double)grid->dim[a] * spacing / cell + MARGIN + 3 * fmax(1, spacing / cell);
    }
    return PICTURES + ARRAYS * (int64_t)cells + 3 * grid->dim[0] * grid->dim[1];
}
