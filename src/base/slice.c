#include "base/slice.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool lf_slice_equal(lf_slice text, const char *s) {
    return strlen(s) == (size_t)text.length && memcmp(text.start, s, (size_t)text.length) == 0;
}

bool lf_next_item(const char **list, lf_slice *item) {
    if (!*list || !**list) return false;
    item->start = *list;
    item->length = (int)strcspn(*list, "|");
    *list += item->length + ((*list)[item->length] == '|');
    return true;
}

bool lf_has_item(const char *list, const char *s) {
    for (lf_slice item; lf_next_item(&list, &item);)
        if (lf_slice_equal(item, s)) return true;
    return false;
}

void lf_list_append(char *buf, size_t size, const char *name) {
    const size_t used = strlen(buf), need = strlen(name) + 4;
    if (used + need + 5 < size)
        snprintf(buf + used, size - used, "%s'%s'", used ? ", " : "", name);
    else if (used + 5 < size && (used < 3 || strcmp(buf + used - 3, "...")))
        snprintf(buf + used, size - used, ", ...");
}

bool lf_has_extension(const char *name, const char *extensions) {
    const char *dot = strrchr(name, '.');
    for (lf_slice e; dot && lf_next_item(&extensions, &e);)
        if (strlen(dot + 1) == (size_t)e.length && !strncasecmp(dot + 1, e.start, (size_t)e.length)) return true;
    return false;
}
