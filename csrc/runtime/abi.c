#include "fastdrop.h"

int fd_abi(void) { return FD_ABI; }
