/* ensemble_file.c - see ensemble_file.h. Test: tests/infer/test_ensemble.c */
#include "nn/model/ensemble_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "nn/model/model_group.h"

static const char ensemble_format[] = "calvaria-ensemble";
enum { ENSEMBLE_VERSION = 1, GROUP_TEXT = 32 };

/* --- writing --- */

struct ensemble_writer {
    struct arena arena; /* of what all members must share */
    const char *path, *network, *restore;
    bool coarse, shape;
    hid_t file, members;
};

static enum status ensemble_check(struct ensemble_writer *writer, const struct model *model, int64_t member,
                                  struct error *error)
{
    char *dump = config_dump_text(&network_table, &model->network);
    const char *restore = model_text(model, "restore"), *differs = NULL;
    enum status status = dump ? STATUS_OK : error_memory(error, 4096, "the network's YAML");

    if (!status && member == 1) {
        writer->network = arena_strdup(&writer->arena, dump);
        writer->restore = arena_strdup(&writer->arena, restore ? restore : "");
        writer->coarse = model->coarse != NULL;
        writer->shape = model->shape != NULL;
        if (!writer->network || !writer->restore)
            status = error_memory(error, 4096, "the network's YAML");
    } else if (!status) {
        differs = strcmp(dump, writer->network) != 0 ? "network"
                  : strcmp(restore ? restore : "", writer->restore) != 0 ? "pipeline ('restore')"
                  : writer->coarse != (model->coarse != NULL) ? "coarse stage"
                  : writer->shape != (model->shape != NULL)   ? "shape model"
                                                              : NULL;
        if (differs)
            status =
                error_set(error, STATUS_FAILED,
                          "%s: member %" PRId64 " has another %s than member 1: an ensemble averages models of one "
                          "recipe",
                          writer->path, member, differs);
    }
    memory_free(dump);
    return status;
}

/* One member in memory at a time. */
static enum status ensemble_write_member(struct ensemble_writer *writer, const struct ensemble_source *source,
                                         int64_t member, struct error *error)
{
    struct arena arena = {0};
    struct model model = {0}, out;
    char name[GROUP_TEXT];
    snprintf(name, sizeof name, "%" PRId64, member);
    enum status status = source->read(source->context, member, &model, error);
    if (!status)
        status = ensemble_check(writer, &model, member, error);
    if (!status)
        status = model_portable(&out, &model, NULL, &arena, error);
    if (!status) {
        hdf5_lock();
        hid_t group = hdf5_make_group(writer->members, name);
        status =
            group < 0 ? hdf5_error(error, writer->path, name) : model_write_group(group, &out, writer->path, error);
        if (group >= 0)
            H5Gclose(group);
        hdf5_unlock();
    }
    model_done(&model);
    arena_done(&arena);
    return status ? error_while(error, "writing member %" PRId64 " of an ensemble", member) : STATUS_OK;
}

static enum status ensemble_write_texts(const struct ensemble_writer *writer, int64_t n, const struct model_text *texts,
                                        int64_t n_texts, struct error *error)
{
    const int64_t version = ENSEMBLE_VERSION;
    const char *path = writer->path;
    enum status status = hdf5_put_text(writer->file, "format", ensemble_format, path, error);
    if (!status)
        status = hdf5_put_numbers(writer->file, "format_version", H5T_NATIVE_INT64, 0, NULL, &version, path, error);
    if (!status)
        status = hdf5_put_numbers(writer->file, "members", H5T_NATIVE_INT64, 0, NULL, &n, path, error);
    if (!status)
        status = hdf5_put_text(writer->file, "network", writer->network, path, error);
    if (!status)
        status = hdf5_put_text(writer->file, "restore", writer->restore, path, error);
    for (int64_t i = 0; i < n_texts && !status; i++)
        if (strcmp(texts[i].key, "restore") != 0 && strcmp(texts[i].key, "network") != 0 &&
            strcmp(texts[i].key, "format") != 0 && texts[i].value)
            status = hdf5_put_text(writer->file, texts[i].key, texts[i].value, path, error);
    return status;
}

static enum status ensemble_open_part(struct ensemble_writer *writer, const char *part, struct error *error)
{
    hdf5_lock();
    writer->file = model_create_file(part, writer->path, error);
    if (writer->file >= 0)
        writer->members = hdf5_make_group(writer->file, "members");
    hdf5_unlock();
    return writer->file < 0      ? error->status
           : writer->members < 0 ? hdf5_error(error, writer->path, "members")
                                 : STATUS_OK;
}

/* The last bytes are written when the file is closed: a full disk shows. */
static enum status ensemble_close_part(struct ensemble_writer *writer, enum status status, struct error *error)
{
    hdf5_lock();
    if (writer->members >= 0)
        H5Gclose(writer->members);
    if (writer->file >= 0 && H5Fclose(writer->file) < 0 && !status)
        status = hdf5_error(error, writer->path, "cannot be written");
    hdf5_unlock();
    return status;
}

enum status ensemble_write(const char *path, int64_t n, const struct ensemble_source *source,
                           const struct model_text *texts, int64_t n_texts, struct error *error)
{
    struct ensemble_writer writer = {.path = path, .file = -1, .members = -1};
    char *part;
    if (file_begin(&part, path, error))
        return error->status;
    enum status status = ensemble_open_part(&writer, part, error);
    for (int64_t member = 1; member <= n && !status; member++)
        status = ensemble_write_member(&writer, source, member, error);
    if (!status) {
        hdf5_lock();
        status = ensemble_write_texts(&writer, n, texts, n_texts, error);
        hdf5_unlock();
    }
    status = ensemble_close_part(&writer, status, error);
    if (!status)
        status = file_commit(&part, path, error);
    file_discard(&part);
    arena_done(&writer.arena);
    return status;
}

/* --- reading --- */

static enum status ensemble_read_count(int64_t *ret, hid_t file, const char *path, struct arena *arena,
                                       struct error *error)
{
    const char *format;
    int64_t version;
    if (hdf5_get_text(&format, file, "format", path, arena, error))
        return error->status;
    if (strcmp(format, ensemble_format) != 0)
        return error_set(error, STATUS_FAILED, "%s: format: '%.64s', expected '%s' (no ensemble)", path, format,
                         ensemble_format);
    if (hdf5_get_numbers(&version, 1, file, "format_version", H5T_NATIVE_INT64, path, error) ||
        hdf5_get_numbers(ret, 1, file, "members", H5T_NATIVE_INT64, path, error))
        return error->status;
    if (version != ENSEMBLE_VERSION)
        return error_set(error, STATUS_FAILED, "%s: format_version: %" PRId64 ", this program reads %d", path, version,
                         ENSEMBLE_VERSION);
    if (*ret < 1 || *ret > ENSEMBLE_MAX)
        return error_set(error, STATUS_FAILED, "%s: members: %" PRId64 " (1 to %d)", path, *ret, ENSEMBLE_MAX);
    return STATUS_OK;
}

int64_t ensemble_members(const char *path)
{
    struct error ignored = {0};
    struct arena arena = {0};
    int64_t n = 0;
    hdf5_lock();
    hid_t file = file_exists(path) && !file_is_folder(path) ? hdf5_open_file(path) : -1;
    if (file >= 0 && ensemble_read_count(&n, file, path, &arena, &ignored))
        n = 0;
    if (file >= 0)
        H5Fclose(file);
    hdf5_unlock();
    arena_done(&arena);
    return n;
}

/* Every member has the network and the pipeline that the whole states. */
static enum status ensemble_check_texts(const struct model *member, const struct model *whole, const char *path,
                                        struct error *error)
{
    static const char *const keys[] = {"network", "restore"};
    for (int i = 0; i < 2; i++) {
        const char *a = model_text(member, keys[i]), *b = model_text(whole, keys[i]);
        if (!b || strcmp(a ? a : "", b) != 0)
            return error_set(error, STATUS_FAILED, "%s: a member has another '%s' than the whole (a damaged file?)",
                             path, keys[i]);
    }
    return STATUS_OK;
}

static enum status ensemble_read_file(struct model *model, hid_t file, const char *path, int64_t member, bool whole,
                                      struct error *error)
{
    struct model texts = {0};
    char name[GROUP_TEXT];
    int64_t n = 0;
    hid_t members = -1, group = -1;
    enum status status = ensemble_read_count(&n, file, path, &model->arena, error);
    if (!status && (member < 1 || member > n))
        status =
            error_set(error, STATUS_USAGE, "%s: member %" PRId64 " of %" PRId64 " (counted from 1)", path, member, n);
    snprintf(name, sizeof name, "%" PRId64, member);
    if (!status && (members = hdf5_open_group(file, "members")) < 0)
        status = hdf5_error(error, path, "members");
    if (!status && (group = hdf5_open_group(members, name)) < 0)
        status = hdf5_error(error, path, name);
    if (!status)
        status = model_read_group(model, group, path, false, error);

    /* The texts of the whole take the place of the member's. */
    if (!status)
        status = model_read_texts(&texts, file, path, error);
    if (!status)
        status = ensemble_check_texts(model, &texts, path, error);
    for (int64_t i = 0; whole && !status && i < texts.n_texts; i++) {
        struct model_text *text = &texts.texts[i];
        text->key = arena_strdup(&model->arena, text->key);
        text->value = arena_strdup(&model->arena, text->value);
        if (!text->key || !text->value)
            status = error_memory(error, 64, "texts of the ensemble");
    }
    if (whole && !status) {
        model->n_texts = texts.n_texts;
        model->texts = arena_alloc(&model->arena, (size_t)texts.n_texts + 1, sizeof *model->texts);
        if (!model->texts)
            status = error_memory(error, 64, "texts of the ensemble");
        else
            memcpy(model->texts, texts.texts, (size_t)texts.n_texts * sizeof *model->texts);
    }
    arena_done(&texts.arena);
    if (group >= 0)
        H5Gclose(group);
    if (members >= 0)
        H5Gclose(members);
    return status;
}

static enum status ensemble_open(struct model *ret, const char *path, int64_t member, bool whole, struct error *error)
{
    struct model model = {0};
    hdf5_lock();
    hid_t file = model_open_file(path, error);
    enum status status = file < 0 ? error->status : ensemble_read_file(&model, file, path, member, whole, error);
    if (file >= 0)
        H5Fclose(file);
    hdf5_unlock();
    if (status) {
        model_done(&model);
        return error_while(error, "reading member %" PRId64 " of an ensemble", member);
    }
    *ret = model;
    return STATUS_OK;
}

enum status ensemble_read_member(struct model *ret, const char *path, int64_t member, struct error *error)
{
    return ensemble_open(ret, path, member, false, error);
}

enum status ensemble_read(struct model *ret, const char *path, int64_t member, struct error *error)
{
    return ensemble_open(ret, path, member, true, error);
}
