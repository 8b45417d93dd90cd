#include "platform.h"
int main(int argc, char **argv) { (void)argc; (void)argv; char b[100]; int n = snprintf(b, 100, "gemmafit-agent %s %s\n", GEMMAFIT_VERSION, GEMMAFIT_ABI); write(1, b, n); return 0; }
