/* test_yaml.c - trees with positions; what is refused and where; extends and --set. */
#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/check.h"

static struct arena arena;

static struct yaml_node *parse(const char *text)
{
    struct error error = {0};
    struct yaml_node *root = NULL;
    CHECK_OK(yaml_read_text(&root, text, "t.yaml", &arena, &error), &error);
    return root;
}

static void refuse(const char *text, const char *part)
{
    struct error error = {0};
    struct yaml_node *root = NULL;
    CHECK_FAILS(yaml_read_text(&root, text, "t.yaml", &arena, &error), &error, STATUS_USAGE, part);
    CHECK(!root);
}

static void check_node(const struct yaml_node *node, enum yaml_kind kind, const char *text, int line, int column)
{
    CHECK(node);
    if (!node)
        return;
    CHECK_INT(node->kind, kind);
    CHECK_INT(node->line, line);
    CHECK_INT(node->column, column);
    CHECK_TEXT(node->file, "t.yaml");
    if (text)
        CHECK_TEXT(node->text, text);
}

static void test_positions(void)
{
    struct yaml_node *root = parse("a: 1\n"
                                   "b:\n"
                                   "  - \"x y\"\n"
                                   "  - { c: ~, d: [1, 2] }\n"
                                   "ü: e # comment\n");
    check_node(root, YAML_MAP, NULL, 1, 1);
    CHECK_INT(root ? root->n_items : 0, 3);
    check_node(yaml_get(root, "a"), YAML_SCALAR, "1", 1, 4);
    struct yaml_node *list = yaml_get(root, "b");
    check_node(list, YAML_LIST, NULL, 3, 3);
    if (!list || list->n_items != 2) {
        CHECK(0 && "the list has two items");
        return;
    }
    check_node(list->items[0], YAML_SCALAR, "x y", 3, 5);
    CHECK(list->items[0]->quoted);
    check_node(list->items[1], YAML_MAP, NULL, 4, 5);
    check_node(list->items[1]->keys[1], YAML_SCALAR, "d", 4, 13);
    check_node(yaml_get(list->items[1], "d"), YAML_LIST, NULL, 4, 16);
    check_node(yaml_get(root, "ü"), YAML_SCALAR, "e", 5, 4);
    CHECK(!yaml_get(root, "e"));
    CHECK(!yaml_get(list, "e"));
    CHECK(!yaml_get(NULL, "e"));
}

static void test_empty(void)
{
    static const char *const texts[] = {"", "\n\n", "# only a comment\n", "\xEF\xBB\xBF"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct yaml_node *root = parse(texts[i]);
        CHECK(root && root->kind == YAML_MAP && root->n_items == 0);
    }
    CHECK(parse("\xEF\xBB\xBF"
                "a: 1") != NULL);
    check_node(yaml_get(parse("a:"), "a"), YAML_SCALAR, "", 1, 3);
}

static void test_refused(void)
{
    refuse("a: 1\nb: 2\na: 3\n", "t.yaml:3:1: a: key given twice, first in line 1");
    refuse("x: {p: 1, p: 2}", "t.yaml:1:11: p: key given twice");
    refuse("a: &x 1\n", "t.yaml:1:4: anchors and aliases");
    refuse("a: *x\n", "t.yaml:1:4: anchors and aliases");
    refuse("a: &x [1]\n", "t.yaml:1:4: anchors");
    refuse("&x a: 1\n", "anchors");
    refuse("*x : 1\n", "anchors");
    refuse("a: !!int 3\n", "t.yaml:1:4: tags");
    refuse("a: !thing {}\n", "t.yaml:1:4: tags");
    refuse("? [a, b]\n: 1\n", "t.yaml:1:3: a list or map as a key");
    refuse("a: 1\n---\nb: 2\n", "t.yaml:2:1: a second document");
    refuse("a: \"x\\0y\"\n", "t.yaml:1:4: a zero byte");
    refuse("a: [1, 2\n", "t.yaml:2:1: not YAML: ");
    refuse("a: {b: 1\n", "not YAML");
    refuse("a: \"open\n", "not YAML");
    refuse("a: b: c\n", "t.yaml:1:5: not YAML: mapping values are not allowed");
    refuse("a:\n\tb: 1\n", "(indent with spaces, not tabs)");
    refuse("a: 1\nb: \xC3\x28\n", "t.yaml:2:5: not text: invalid trailing UTF-8 octet");
    refuse("\xFF\xFE"
           "a\n",
           "t.yaml:1:1: not text");
    refuse("a: \x01\n", "not text: control characters");
    refuse("%YAML 9.9\n---\na: 1\n", "not YAML");
}

static void test_depth(void)
{
    char text[200];
    for (int depth = 31; depth <= 33; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        struct error error = {0};
        struct yaml_node *root;
        if (depth <= 32)
            CHECK_OK(yaml_read_text(&root, text, "t.yaml", &arena, &error), &error);
        else
            CHECK_FAILS(yaml_read_text(&root, text, "t.yaml", &arena, &error), &error, STATUS_USAGE,
                        "t.yaml:1:33: nested deeper");
    }
    size_t many = 1 << 20;
    char *deep = memory_alloc(many + 1, 1);
    CHECK(deep);
    if (!deep)
        return;
    memset(deep, '[', many);
    deep[many] = '\0';
    refuse(deep, "nested deeper than 32");
    memory_free(deep);
}

static void test_sizes(void)
{
    size_t bytes = ((size_t)16 << 20) + 2;
    char *text = memory_alloc(bytes, 1);
    CHECK(text);
    if (!text)
        return;
    memset(text, '\n', bytes - 1);
    text[bytes - 1] = '\0';
    refuse(text, "longer than 16 MiB");
    const char *path = check_path("large.yaml");
    struct error error = {0};
    CHECK_OK(file_write(path, text, bytes - 1, &error), &error);
    struct yaml_node *root;
    CHECK_FAILS(yaml_read_file(&root, path, &arena, &error), &error, STATUS_FAILED, "larger than 16777216 bytes");
    for (int i = 0; i < 2000100; i++) /* "[a,a,a,... " */
        text[i] = i == 0 ? '[' : i % 2 ? 'a' : ',';
    text[2000100] = '\0';
    refuse(text, "more than 1000000 values");
    size_t length = 0;
    for (int i = 0; i < 10001; i++)
        length += (size_t)snprintf(text + length, bytes - length, "k%d: 1\n", i);
    refuse(text, "t.yaml:10001:1: more than 10000 keys");
    memory_free(text);
}

static const char *write_text(const char *name, const char *text)
{
    struct error error = {0};
    const char *path = check_path(name);
    CHECK_OK(file_write(path, text, strlen(text), &error), &error);
    return path;
}

static void test_files(void)
{
    struct error error = {0};
    struct yaml_node *root = NULL;
    const char *path = write_text("plain.yaml", "a: 1\n");
    CHECK_OK(yaml_read_file(&root, path, &arena, &error), &error);
    CHECK_TEXT(root ? root->file : "", path);
    CHECK_FAILS(yaml_read_file(&root, check_path("absent.yaml"), &arena, &error), &error, STATUS_USAGE,
                "absent.yaml: cannot read: no such file");
    CHECK_FAILS(yaml_read_file(&root, check_folder(), &arena, &error), &error, STATUS_USAGE, "it is a folder");
}

/* A map as "a=1 b.c=2 ", in order. */
static void flatten(char *text, size_t size, const char *prefix, const struct yaml_node *node)
{
    char key[64];
    for (int i = 0; i < node->n_items; i++) {
        if (node->kind == YAML_MAP)
            snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", node->keys[i]->text);
        else
            snprintf(key, sizeof key, "%s.%d", prefix, i);
        flatten(text, size, key, node->items[i]);
    }
    size_t length = strlen(text);
    if (node->kind == YAML_SCALAR)
        snprintf(text + length, size - length, "%s=%s ", prefix, node->text);
}

static void check_tree(const struct yaml_node *root, const char *expected)
{
    char text[512] = "";
    flatten(text, sizeof text, "", root);
    CHECK_TEXT(text, expected);
}

static void test_extends(void)
{
    struct error error = {0};
    struct yaml_node *root = NULL;
    CHECK_OK(file_make_folders(check_path("networks"), &error), &error);
    CHECK_OK(file_make_folders(check_path("recipes"), &error), &error);
    write_text("networks/a.yaml",
               "seed: 1\ntrain: { steps: 10, batch: 2 }\nloss: [1, 2, 3]\noptimizer: { type: adam, beta1: 0.5 }\n");
    write_text("networks/b.yaml", "train: { batch: 4 }\noptimizer: { type: adam, lr: 1 }\n");
    const char *path =
        write_text("recipes/r.yaml",
                   "extends: [../networks/a.yaml, ../networks/b.yaml]\nloss: [9]\ntrain: { every: 5 }\nname: x\n");
    CHECK_OK(yaml_read_extended(&root, path, &arena, &error), &error);
    check_tree(root,
               "seed=1 train.steps=10 train.batch=4 train.every=5 loss.0=9 optimizer.type=adam optimizer.beta1=0.5 "
               "optimizer.lr=1 name=x ");
    CHECK_CONTAINS(yaml_get(root, "seed")->file, "recipes/../networks/a.yaml");
    CHECK_TEXT(yaml_get(root, "name")->file, path);

    path = write_text("recipes/type.yaml", "optimizer: { type: sgd }\nextends: ../networks/a.yaml\n");
    CHECK_OK(yaml_read_extended(&root, path, &arena, &error), &error);
    check_tree(root, "seed=1 train.steps=10 train.batch=2 loss.0=1 loss.1=2 loss.2=3 optimizer.type=sgd ");

    path = write_text("recipes/none.yaml", "name: y\n");
    CHECK_OK(yaml_read_extended(&root, path, &arena, &error), &error);
    check_tree(root, "name=y ");
}

/* Files that extend files, maps inside that do, and a map that changes items of a list. */
static void test_extends_deep(void)
{
    struct error error = {0};
    struct yaml_node *root = NULL;
    CHECK_OK(file_make_folders(check_path("deep"), &error), &error);
    write_text("deep/net.yaml", "net: { name: n, layers: [ { name: in, type: conv, k: 3 }, { type: relu }, { name: "
                                "out, type: tanh, s: 1 } ] }\n");
    write_text("deep/base.yaml", "extends: net.yaml\nseed: 1\n");
    const char *path = write_text(
        "top.yaml",
        "extends: deep/base.yaml\nseed: 2\nnet: { layers: { out: { type: sigmoid }, in: { k: 5 }, 1: { slope: 2 } } }\n"
        "rival: { weight: 3, extends: [deep/net.yaml], net: { name: m } }\n");
    if (CHECK_OK(yaml_read_extended(&root, path, &arena, &error), &error))
        check_tree(root,
                   "net.name=n net.layers.0.name=in net.layers.0.type=conv net.layers.0.k=5 net.layers.1.type=relu "
                   "net.layers.1.slope=2 "
                   "net.layers.2.type=sigmoid net.layers.2.name=out seed=2 rival.net.name=m rival.net.layers.0.name=in "
                   "rival.net.layers.0.type=conv rival.net.layers.0.k=3 rival.net.layers.1.type=relu "
                   "rival.net.layers.2.name=out "
                   "rival.net.layers.2.type=tanh rival.net.layers.2.s=1 rival.weight=3 ");
    CHECK_OK(yaml_set(root, "net.layers.out.type=elu", &arena, &error), &error);
    CHECK_TEXT(yaml_get(yaml_get(yaml_get(root, "net"), "layers")->items[2], "type")->text, "elu");
    CHECK_FAILS(yaml_set(root, "net.layers.ouf.type=elu", &arena, &error), &error, STATUS_USAGE,
                "ouf: no such item: the list has 3, numbered "
                "from 0 (did you mean 'out'?)");
    path = write_text("bad.yaml", "extends: deep/base.yaml\nnet:\n  layers: { last: { type: sigmoid } }\n");
    error = (struct error){0};
    CHECK_FAILS(yaml_read_extended(&root, path, &arena, &error), &error, STATUS_USAGE,
                "bad.yaml:3:13: last: no such item: the list has 3");
}

static void test_extends_refused(void)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"extends: [absent.yaml]\n", "bad.yaml:1:11: extends: "},
        {"a: 1\nextends: { a: b }\n", "bad.yaml:2:10: extends: expected a list of files"},
        {"extends: [[x]]\n", "bad.yaml:1:11: extends: expected a file name"},
        {"extends: self.yaml\n", "self.yaml:2:10: extends: more than 8 files deep (does one extend itself?)"},
        {"extends: list.yaml\n", "list.yaml:1:1: expected a map"},
        {"[1]\n", "bad.yaml:1:1: expected a map"},
        {"just words\n", "bad.yaml:1:1: expected a map"},
    };
    write_text("self.yaml", "b: 1\nextends: self.yaml\n");
    write_text("list.yaml", "[1, 2]\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error = {0};
        struct yaml_node *root = NULL;
        const char *path = write_text("bad.yaml", cases[i].text);
        CHECK_FAILS(yaml_read_extended(&root, path, &arena, &error), &error, STATUS_USAGE, cases[i].part);
        CHECK(!root);
    }
}

static void test_set(void)
{
    struct error error = {0};
    struct yaml_node *root = parse("train: { steps: 1 }\nloss:\n  - { weight: 1 }\n  - { weight: 2 }\nname: x\n");
    static const char *const sets[] = {"train.steps=10",  "loss.1.weight=5", "data.patch_vox=[64, 64, 32]",
                                       "a.b.c=\"q = r\"", "name=",           "empty={}"};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        CHECK_OK(yaml_set(root, sets[i], &arena, &error), &error);
    check_tree(root, "train.steps=10 loss.0.weight=1 loss.1.weight=5 name= data.patch_vox.0=64 data.patch_vox.1=64 "
                     "data.patch_vox.2=32 "
                     "a.b.c=q = r ");
    struct yaml_node *steps = yaml_get(yaml_get(root, "train"), "steps");
    CHECK_TEXT(steps->file, "--set train.steps=10");
    CHECK_INT(steps->line, 0);
    CHECK_INT(yaml_get(root, "empty")->kind, YAML_MAP);
}

static void test_set_refused(void)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"train.steps", "--set train.steps: expected KEY=VALUE"},
        {"=3", "--set =3: expected KEY=VALUE"},
        {"", "expected KEY=VALUE"},
        {"train..steps=3", "empty key"},
        {".train=3", "empty key"},
        {"train.steps.x=3", "--set train.steps.x=3: x: what is above it is a single value"},
        {"loss.1=3", "1: no such item: the list has 1, numbered from 0"},
        {"loss.-1=3", "no such item"},
        {"loss.99999999999999999999=3", "no such item"},
        {"loss.x=3", "no such item"},
        {"a=[1", "--set a=[1:"},
        {"a=&x 1", "anchors"},
        {"a.b.c.d.e.f.g.h.a.b.c.d.e.f.g.h.a.b.c.d.e.f.g.h.a.b.c.d.e.f.g.h.a.b=1", "too deep"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error = {0};
        struct yaml_node *root = parse("train: { steps: 1 }\nloss: [1]\n");
        CHECK_FAILS(yaml_set(root, cases[i].text, &arena, &error), &error, STATUS_USAGE, cases[i].part);
    }
}

static enum status extend_and_set(void *path, struct error *error)
{
    struct arena own = {0};
    struct yaml_node *root = NULL;
    enum status status = yaml_read_extended(&root, path, &own, error);
    if (!status)
        status = yaml_set(root, "a.e.f=[1, 2]", &own, error);
    arena_done(&own);
    return status;
}

/* Every allocation fails once: always an error, never a crash or a leak (asan). */
static void test_memory_out(void)
{
    const char *base = write_text("base.yaml", "a: { b: 1, c: [1, 2, 3] }\n");
    const char *path = write_text("memory.yaml", "extends: base.yaml\na: { d: \"x\" }\nlist: [a, b, {c: d}]\n");
    CHECK(base && path);
    check_allocation_failures(extend_and_set, (void *)path, 20);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"positions", test_positions},
                                       {"empty", test_empty},
                                       {"refused", test_refused},
                                       {"depth", test_depth},
                                       {"sizes", test_sizes},
                                       {"files", test_files},
                                       {"extends", test_extends},
                                       {"extends_deep", test_extends_deep},
                                       {"extends_refused", test_extends_refused},
                                       {"set", test_set},
                                       {"set_refused", test_set_refused},
                                       {"memory_out", test_memory_out},
                                       {0}};
    int status = check_main(argc, argv, tests);
    arena_done(&arena);
    return status;
}
