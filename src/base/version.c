#include "lora_ft.h"

const char *lf_version(void) { return LF_VERSION; }
