/* The main function of a fuzz target in a plain build: gives it each file of a folder, as its seeds. What crashes is
 * the input that was named last. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST = 1 << 20 };

/* In memory of just its size, so that a sanitizer sees one byte beyond. */
static int give(const char *path) {
    static unsigned char bytes[LONGEST];
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    const size_t size = fread(bytes, 1, sizeof bytes, f);
    const int failed = ferror(f) || !feof(f);
    fclose(f);
    unsigned char *exact = failed ? NULL : malloc(size ? size : 1);
    if (!exact) return -1;
    for (size_t i = 0; i < size; i++) exact[i] = bytes[i];
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv) {
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "replay: expected a folder of inputs, found %s\n", argc == 2 ? argv[1] : "no argument");
        return 2;
    }
    int n = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        puts(path);
        fflush(stdout);
        if (give(path) != 0) {
            fprintf(stderr, "replay: %s: cannot be read, or has more than %d bytes\n", path, LONGEST);
            return 1;
        }
        n++;
    }
    closedir(folder);
    printf("%d inputs\n", n);
    return n > 0 ? 0 : 1;
}
