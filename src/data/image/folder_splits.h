/* What a folder of pictures holds, and how it is divided into train, val and test. For dataset_folder.c. */
#ifndef LF_DATA_IMAGE_FOLDER_SPLITS_H
#define LF_DATA_IMAGE_FOLDER_SPLITS_H

#include "data/image/dataset_internal.h"

#define LF_FOLDER_TABLE "a metadata.csv with the columns file_name and label"

typedef struct lf_folder_listing {
    char **names; /* of subfolders, sorted; the first n of a block that lf_list_dir made */
    size_t n;
    size_t pictures; /* directly in the folder */
} lf_folder_listing;

/* The caller frees l->names; on failure *l is empty. */
lf_status lf_folder_list(lf_folder_listing *l, const char *folder, lf_err *err);
/* s->path becomes the split's folder, if the folder is divided. LF_EDATA where pictures lie directly in train/ and the
 * like, LF_EUSAGE where it is not clear which folder is meant, LF_ENOTFOUND where the split is not there. */
lf_status lf_folder_choose_split(lf_store *s, const lf_data_request *r, lf_err *err);
bool lf_folder_has_split(const char *path, const char *split);

#endif
