/* Names that are made of what people call things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "server/model/text_name.h"

#define DEEP "\xe6\xb7\xb1\xe5\xba\xa6\xe5\xad\xa6\xe4\xb9\xa0" /* 深度学习 */

static void what_is_a_text(void **state)
{
    char longest[257];
    static const char *const texts[] = {DEEP, "MNIST", "Lesson 1", "a_b", "-a", "a-", "a.", "B"};
    static const char *const none[] = {NULL,      "",    "mnist", "a.b-c.9", ".",    "..",
                                       ".hidden", "a/b", "a\nb",  "a\x7f",   "\xff", "\xe2\x80\xae"};

    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        if (text_name_is_text(none[i]))
            fail_msg("%s", none[i]);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (!text_name_is_text(texts[i]))
            fail_msg("%s", texts[i]);
    memset(longest, 'A', sizeof(longest));
    longest[255] = '\0';
    assert_true(text_name_is_text(longest));
    longest[255] = 'A';
    longest[256] = '\0';
    assert_false(text_name_is_text(longest));
}

static void what_is_made_of_it(void **state)
{
    static const struct {
        const char *text, *name;
    } cases[] = {
        {DEEP, "course-"}, {DEEP " 1", "1-"}, {"MNIST", "mnist-"}, {"  Lesson 1: B\xc3\xa4ume_", "lesson-1-b-ume-"},
        {"--", "course-"}, {"A.B", "a-b-"},
    };
    _cleanup_free_ char *one = text_name_make("course", DEEP), *again = text_name_make("course", DEEP),
                        *other = text_name_make("course", DEEP DEEP);
    char longest[256];

    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *name = text_name_make("course", cases[i].text);
        if (strncmp(name, cases[i].name, strlen(cases[i].name)) != 0 || strlen(name) != strlen(cases[i].name) + 10 ||
            !is_dns_label(str_from(name)))
            fail_msg("%s: %s", cases[i].text, name);
    }
    memset(longest, 'A', sizeof(longest));
    longest[255] = '\0';
    _cleanup_free_ char *name = text_name_make("course", longest);
    assert_true(is_dns_label(str_from(name)));
}

static void replaced_in_an_object(void **state)
{
    const struct kind k = {.singular = "course", .name_text = "spec.folder"}, plain = {.singular = "course"};
    _cleanup_json_ yyjson_doc *sent = json_parse(STR("{\"metadata\":{\"name\":\"" DEEP "\"}}"), NULL);
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_doc_mut_copy(sent, NULL);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    _cleanup_free_ char *name = text_name_make("course", DEEP);

    text_name_replace(&plain, doc, root);
    assert_string_equal(json_mut_str_at(root, "metadata.name"), DEEP);
    text_name_replace(&k, doc, root);
    assert_string_equal(json_mut_str_at(root, "metadata.name"), name);
    assert_string_equal(json_mut_str_at(root, "spec.folder"), DEEP);
    /* What is said stays; a name is left alone. */
    text_name_replace(&k, doc, root);
    assert_string_equal(json_mut_str_at(root, "metadata.name"), name);
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "metadata"), "name", "B");
    text_name_replace(&k, doc, root);
    assert_string_equal(json_mut_str_at(root, "spec.folder"), DEEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_text),
        cmocka_unit_test(what_is_made_of_it),
        cmocka_unit_test(replaced_in_an_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
