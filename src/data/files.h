/* The files that a data spec's path names: a file, a list of files, a pattern, or a folder with a file or shards for
 * each split. They are one data set, in this order. */
#ifndef LF_DATA_FILES_H
#define LF_DATA_FILES_H

#include "base/left_out.h"
#include "base/paths.h"

typedef struct lf_data_files {
    lf_paths paths;    /* files; or, with `folder`, one: a folder that holds no files for a split */
    bool folder;       /* nothing was found for a split; whoever asks may know such folders otherwise */
    lf_left_out other; /* what lies in the folder that was searched and belongs to no split */
    char *searched;    /* that folder; NULL: none was */
} lf_data_files;

typedef struct lf_data_wanted {
    const char *key;                /* the config key, for errors */
    const char *split;              /* "train" */
    bool (*ours)(const char *name); /* has a file of this name (without the extension of a packing) a known format? */
} lf_data_wanted;

/* `path` is a string or a list of strings. Patterns as lf_paths_expand has them; files must be there.
 *
 * A folder, given alone, is searched for its split: FOLDER/train.EXT, else shards FOLDER/train-*.EXT (also train_* and
 * train.*), sorted; else the same in FOLDER/data; else all files in FOLDER/train. EXT may be followed by the extension
 * of a packing. Shards that say how many they are (train-00000-of-00002) must all be there. Several files of one name,
 * or shards of several formats, are LF_EUSAGE: one has to be named. */
lf_status lf_data_files_find(lf_data_files *out, const cJSON *path, const lf_data_wanted *w, lf_err *err);
void lf_data_files_free(lf_data_files *f);
/* Would a folder be found to hold files of the split? Also where they are wrong: opening them says why. */
bool lf_data_files_has_split(const char *folder, const char *split, bool (*ours)(const char *name));
/* Warns of `other`: once, though a folder is opened for each of its splits; and of a file that is given twice. */
void lf_data_files_warn(const lf_data_files *f);
/* Warns of n files of a data set, `first` among them, that are whole but have no row; nothing if n is 0. */
void lf_data_files_warn_of_no_rows(const char *first, int64_t n);
/* LF_ENOTFOUND; of what a hub calls a data set, with the command that fetches it. */
lf_status lf_data_no_such_path(const char *path, const char *key, lf_err *err);

/* "FILE" or "FILE and 3 more files" */
const char *lf_data_files_text(const lf_paths *paths, char *buf, size_t size);
/* How much of the paths is the longest folder that all of them are below, with its slash; 0: there is none. */
size_t lf_data_files_folder(const char *const *paths, int64_t n);
/* The longest folder that all paths are below, for lf_fingerprint_files; "" if there is none. False: out of memory. */
bool lf_data_files_root(char **out, const lf_paths *paths);

#endif
